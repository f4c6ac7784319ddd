"""A corpus divided into units: each is encoded by itself, on any machine, and committed once.

Where units begin and end depends on the sources and the options alone, never on machines, workers or budgets. Text is
divided at safe cuts, JSON Lines between lines, Parquet between row groups; a compressed file is one unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.preparation.cluster.remote_units import parts_between, parts_of_groups, remote_parts
from oomguard.preparation.engines.line_feed import LineFeed
from oomguard.preparation.engines.work import CutRules, PlainFeed
from oomguard.preparation.reading.source import STDIN
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.source import Part, Source

UNIT_BYTES = 256 * MIB
_ANY = 1 << 62


@dataclass(frozen=True, slots=True)
class Unit:
    """A source, by its place in the list of them, or a part of it."""

    source: int
    part: Part | None = None


def cut_units(
    sources: Sequence[Source], options: PrepareOptions, resolved: ResolvedOptions, *, size: int = UNIT_BYTES
) -> Iterator[Unit]:
    """Divide sources into units of about `size` bytes of text, in the order of the input.

    Raises: BadInput for standard input, which only one machine has, and for a file that cannot be read.
    """
    for index, source in enumerate(sources):
        if source.path == STDIN or source.size is None:
            raise BadInput(
                "only one machine has this standard input", do="write it to a file that all machines see, and name that"
            )
        if source.compression is not None or source.encoding:
            parts: Iterator[Part | None] = iter([None])
        elif source.is_remote:
            parts = remote_parts(source, options, resolved, size)
        elif source.kind == "text":
            parts = parts_between(_text_cuts(source, options, resolved, size), source.size)
        elif source.kind == "jsonl":
            parts = parts_between(_line_ends(source, size), source.size)
        elif source.kind == "parquet":
            parts = parts_of_groups(_group_sizes(source), size)
        else:
            parts = iter([None])
        yield from (Unit(index, part) for part in parts)


def _text_cuts(source: Source, options: PrepareOptions, resolved: ResolvedOptions, size: int) -> Iterator[int]:
    """Where a text is cut; a stretch without a safe cut stays whole."""
    rules = CutRules(
        family=resolved.spec.family,
        separator=resolved.separator,
        universal_newlines=options.newlines == "universal",
        piece_bytes=MIB,
        longest_word=_ANY,
        flag_with_room=lambda _: "",
    )
    feed = PlainFeed(index=0, source=source, rules=rules)
    try:
        goal = size
        while goal < feed.size:
            cut = feed.first_cut(goal)
            if cut is not None and cut < feed.size:
                yield cut
            goal = max(goal, cut or 0) // size * size + size
    finally:
        feed.close()


def _line_ends(source: Source, size: int) -> Iterator[int]:
    feed = LineFeed(index=0, source=source, chunk=size, longest=_ANY)
    try:
        while (work := feed.next_work(0, 0)) is not None:
            end = work.task.offset + work.task.size
            if end < feed.size:
                yield end
    finally:
        feed.close()


def _group_sizes(source: Source) -> list[int]:
    from oomguard.preparation.reading.parquet import group_sizes

    return group_sizes(source.path, source.text_field)
