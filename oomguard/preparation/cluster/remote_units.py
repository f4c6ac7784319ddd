"""Files on servers divided into units: a short request at each place where one may end, and Parquet's footer.

The rules are those of files on disk; where exactly a unit ends does not change the shards.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from oomguard.preparation.encoding.cutting import VAL_REACH, find_first_cut
from oomguard.preparation.encoding.safe_cuts import last_safe_cut
from oomguard.preparation.reading.source import Part
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.source import Source


def remote_parts(
    source: Source, options: PrepareOptions, resolved: ResolvedOptions, size: int
) -> Iterator[Part | None]:
    """Divide a file that is not compressed into parts of about `size` bytes; of most kinds it is one.

    Raises: OomguardError, as reading does.
    """
    assert source.size is not None
    if source.kind == "parquet":
        from oomguard.preparation.reading.parquet_stream import group_sizes

        yield from parts_of_groups(group_sizes(source), size)
    elif source.kind in ("text", "jsonl"):
        with source.open_places() as places:
            read = places.read_at
            ends = _line_end if source.kind == "jsonl" else _safe_cut(options, resolved)
            yield from parts_between(_ends(partial(ends, read, source.size), source.size, size), source.size)
    else:
        yield None


def parts_between(cuts: Iterable[int], size: int) -> Iterator[Part]:
    """Give the parts of a file that is cut there."""
    begin = 0
    for cut in cuts:
        yield Part(begin, cut)
        begin = cut
    if begin < size:
        yield Part(begin, size)


def parts_of_groups(sizes: Sequence[int], size: int) -> Iterator[Part]:
    """Give row groups together, up to `size` bytes of text."""
    begin, held = 0, 0
    for group, text in enumerate(sizes):
        if held and held + text > size:
            yield Part(begin, group)
            begin, held = group, 0
        held += text
    if begin < len(sizes):
        yield Part(begin, len(sizes))


def _ends(end_behind: Callable[[int], int | None], end: int, size: int) -> Iterator[int]:
    """Give the ends of units behind each multiple of `size`; without one the next unit is longer."""
    goal = size
    while goal < end:
        cut = end_behind(goal)
        if cut is not None and cut < end:
            yield cut
        goal = max(goal, cut or 0) // size * size + size


def _safe_cut(options: PrepareOptions, resolved: ResolvedOptions) -> Callable[..., int | None]:
    cut = partial(
        last_safe_cut, family=resolved.spec.family, separator=resolved.separator,
        universal_newlines=options.newlines == "universal",
    )  # fmt: skip

    def ends(read: Callable[[int, int], bytes], end: int, goal: int) -> int | None:
        return find_first_cut(read, cut, start=goal, end=end, limit=min(end, goal + VAL_REACH))

    return ends


def _line_end(read: Callable[[int, int], bytes], end: int, goal: int) -> int | None:
    at, step = goal, 4 * KIB
    while at < end:
        found = read(at, min(step, end - at)).find(b"\n")
        if found >= 0:
            return at + found + 1
        at, step = at + step, min(2 * step, 1024 * KIB)
    return None
