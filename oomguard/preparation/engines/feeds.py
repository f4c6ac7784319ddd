"""The chunks of a source: cut by a feed where any part of it can be read, else as the stream reader gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oomguard.errors import Changed
from oomguard.preparation.engines.line_feed import LineFeed, RowFeed
from oomguard.preparation.engines.memory_sum import LINE_COST
from oomguard.preparation.engines.messages import EncodeTask
from oomguard.preparation.engines.work import CutRules, PlainFeed, Work
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.engines.work import Feed
    from oomguard.preparation.job import Job


def open_feed(job: Job, index: int, position: dict[str, Any], ask: Callable[[dict[str, Any]], None]) -> Feed:
    """Begin to cut a source, from a position on.

    Raises: BadInput if it cannot be read.
    """
    source, budget, resume = job.sources[index], job.budget, position.get("resume") or {}
    if resume.get("inside"):
        raise Changed(
            f"{printable(source.path)}: the run was begun by oomguard 0.1, and stopped within a document",
            do="finish it with that version, or --restart to make the shards again",
        )
    if source.kind == "text":
        return _plain_feed(job, index, offset=position.get("offset", source.begin))
    if source.kind == "jsonl":
        return LineFeed(
            index=index,
            source=source,
            chunk=budget.piece_bytes,
            longest=budget.largest_document,
            offset=resume.get("offset", source.begin),
            once=job.reads_once,
        )
    return RowFeed(
        index=index,
        source=source,
        ask=ask,
        chunk=budget.piece_bytes,
        share=budget.page,
        group=resume.get("row_group", source.begin),
        row=resume.get("row", 0),
    )


def _plain_feed(job: Job, index: int, *, offset: int) -> PlainFeed:
    """Begin to cut a plain text file.

    Raises: BadInput if it cannot be read.
    """
    spec = job.resolved.spec
    rules = CutRules(
        family=spec.family,
        separator=job.resolved.separator,
        universal_newlines=job.options.newlines == "universal",
        piece_bytes=job.budget.piece_bytes,
        longest_word=job.budget.longest_word,
        flag_with_room=job.flag_with_room,
        once=job.reads_once,
    )
    feed = PlainFeed(index=index, source=job.sources[index], rules=rules, offset=offset)
    if job.share_of_each_text:
        feed.set_val_fraction(job.share_of_each_text)
    return feed


def stream_work(job: Job, index: int, message: dict[str, Any], number: int) -> Work:
    """Make work of a slot that the stream reader has filled from source `index`."""
    source, size = job.sources[index], message["size"]
    is_text = message["task"] == "text"
    mark = job.resolved.separator.decode("latin-1") if is_text else ""
    large = size > 2 * job.budget.piece_bytes
    return Work(
        number=number,
        task=EncodeTask(
            slot=message["slot"],
            kind=message["task"],
            size=size,
            mark=mark,
            field=source.text_field,
            origin=message["origin"],
            starts_document=message["starts_document"],
            ends_document=message["ends_document"],
        ),
        source=index,
        split=message["split"] or job.stream_split(source),
        goes_on=message["goes_on"],
        position={"source": index, "resume": message["resume"]},
        name=printable(source.path),
        place=message["where"],
        lines_from=source.begin if source.is_remote else 0,
        member=message["member"],
        read=None if message["read_to"] is None or source.is_remote else (0, message["read_to"]),
        needs=LINE_COST * size if large else 0,
    )
