"""Hands out the rows of a parquet file, as workers have planned them from its footer and its pages."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.preparation.engines.messages import EncodeTask
from oomguard.preparation.engines.work import Work
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.reading.source import Source

_GROUPS = 16  # row groups that are planned at a time
_LOW = 8  # ranges left when the next are asked for


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
