"""Cuts a plain JSON Lines file into ranges of whole lines; the workers read and parse them."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import field
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.engines.memory_sum import LINE_COST
from oomguard.preparation.engines.messages import EncodeTask
from oomguard.preparation.engines.work import Work
from oomguard.preparation.reading.source import Source, read_at
from oomguard.records import dataclass
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

_WINDOW = 64 * 1024
_WIDEST = MIB
_GROUPS = 16  # row groups that are planned at a time
_LOW = 8  # ranges left when the next are asked for


class LineTooLong(Exception):
    """A line is longer than what fits; carries its bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass(slots=True, kw_only=True)
class LineFeed:
    """Gives ranges of about `chunk` bytes; a longer line is a range of its own."""

    index: int
    source: Source
    chunk: int
    longest: int  # bytes of a line
    offset: int = 0
    once: bool = False  # what is read does not stay in the page cache
    _fd: int = field(init=False)

    def __post_init__(self) -> None:
        try:
            self._fd = self.source.open_here()
        except OSError as error:
            name = printable(self.source.path)
            raise BadInput(f"cannot read {name}: {error.strerror}", do="check the name and its permissions") from error

    @property
    def size(self) -> int:
        """Bytes of the file when the run began."""
        assert self.source.size is not None
        return self.source.size

    @property
    def end(self) -> int:
        """Where cutting ends: behind a line."""
        return self.size if self.source.end is None else self.source.end

    @property
    def is_done(self) -> bool:
        """Whether the file, or its part, has been cut to its end."""
        return self.offset >= self.end

    def next_work(self, number: int, slot: int) -> Work | None:
        """Cut the next range; None at the end.

        Raises: LineTooLong; Changed if the file is shorter than when the run began.
        """
        if self.is_done:
            self.close()
            return None
        start, end = self.offset, self._end_of_range()
        if end - start > self.longest:
            raise LineTooLong(end - start)
        self.offset = end
        size = end - start
        return Work(
            number=number,
            task=EncodeTask(
                slot=slot,
                kind="lines",
                path=self.source.path,
                offset=start,
                origin=start,
                size=size,
                starts_document=start == 0,
                field=self.source.text_field,
            ),
            source=self.index,
            split=None,
            position={"source": self.index, "resume": {"offset": end}}
            if end < self.end
            else {"source": self.index + 1},
            read=(start, end),
            name=printable(self.source.path),
            needs=LINE_COST * size if size > 2 * self.chunk else 0,
        )

    def _end_of_range(self) -> int:
        """The end of the last line before the goal, else of the first one behind it."""
        goal = self.offset + self.chunk
        if goal >= self.end:
            return self.end
        low = max(self.offset, goal - _WINDOW)
        before = self._read(low, goal - low).rfind(b"\n")
        if before >= 0:
            return low + before + 1
        if low > self.offset:
            before = self._read(self.offset, low - self.offset).rfind(b"\n")
            if before >= 0:
                return self.offset + before + 1
        at, step = goal, _WINDOW
        while at < self.end:
            found = self._read(at, min(step, self.end - at)).find(b"\n")
            if found >= 0:
                return at + found + 1
            at, step = at + step, _WIDEST
        return self.end

    def _read(self, offset: int, length: int) -> bytes:
        return read_at(self._fd, self.source, offset, length, size=self.size, once=self.once)

    def close(self) -> None:
        """Close the file. Harmless twice."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


# Hands out the rows of a parquet file, as workers have planned them from its footer and its pages.


@dataclass(slots=True, kw_only=True)
class RowFeed:
    """Gives ranges of rows, whole pages where they are not large, from a position on."""

    index: int
    source: Source
    ask: Callable[[dict[str, Any]], None]  # sends a request for a plan to a worker
    chunk: int
    share: int = 32 * MIB  # that a page may need within a worker's usual share
    group: int = 0
    row: int = 0
    offset: int = 0
    _ranges: deque[dict[str, Any]] = field(default_factory=deque)
    _next_group: int = -1
    _groups: int | None = None  # in the file; None: not known yet
    _is_asked: bool = False

    @property
    def is_done(self) -> bool:
        """Whether all rows have been handed out."""
        return self._groups is not None and self._next_group >= self._groups and not self._ranges

    def next_work(self, number: int, slot: int) -> Work | None:
        """Give the next range; None while it is being planned, or at the end."""
        if self._next_group < 0:
            self._next_group = self.group
        more = self._groups is None or self._next_group < self._groups
        if more and not self._is_asked and len(self._ranges) < _LOW:
            self._is_asked = True
            self.ask(
                {
                    "plan": self.index, "path": self.source.path, "field": self.source.text_field,
                    "group": self._next_group, "groups": self._groups_to_plan(),
                    "row": self.row if self._next_group == self.group else 0, "chunk": self.chunk,
                }
            )  # fmt: skip
        if not self._ranges:
            return None
        found = self._ranges.popleft()
        first, end, need = found.pop("first"), found.pop("end"), found.pop("need")
        self.offset = found["offset"]
        is_last = not self._ranges and self._groups is not None and self._next_group >= self._groups
        after = {"source": self.index, "resume": {"row_group": found["group"], "row": end}}
        return Work(
            number=number,
            task=EncodeTask(slot=slot, kind="rows", path=self.source.path, field=self.source.text_field, **found),
            source=self.index,
            split=None,
            position={"source": self.index + 1} if is_last else after,
            name=printable(self.source.path),
            place=str(first),
            needs=need - self.share + found["size"] if need > self.share else 0,  # with the slot of its tokens
        )

    def _groups_to_plan(self) -> int:
        return _GROUPS if self.source.end is None else min(_GROUPS, self.source.end - self._next_group)

    def planned(self, message: dict[str, Any]) -> None:
        """Take what a worker found."""
        self._is_asked = False
        self._groups = message["total"] if self.source.end is None else min(message["total"], self.source.end)
        self._next_group = message["next"]
        self._ranges += message["ranges"]

    def plan_lost(self) -> None:
        """The worker that was asked has ended: ask another."""
        self._is_asked = False

    def close(self) -> None:
        """Do nothing: the workers have the file open."""
