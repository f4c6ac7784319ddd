"""Which line of code growth is charged to, and how much grew there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from oomguard.supervision.rules.user_code import is_library, user_place

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

_MOST_PIECES = 200  # of one process: then the smallest are put together by line


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A line of a program, or (line 0) a program whose stack could not be read."""

    file: str
    line: int
    function: str


Place = TypeVar("Place", bound="Hashable")  # a line, or the number of a stack


@dataclass(slots=True)
class LineGrowth(Generic[Place]):
    """What each process holds, by where it grew. What shrinks is taken from what grew last. Units: bytes."""

    at_peak: dict[Place, int] = field(default_factory=dict)
    _held: dict[int, list[tuple[Place, int]]] = field(default_factory=dict)  # oldest first
    _size: dict[int, int] = field(default_factory=dict)
    _changed: bool = False  # since the peak was noted

    def size(self, pid: int) -> int | None:
        """What `pid` held when it was last taken. None: it was not seen yet."""
        return self._size.get(pid)

    def take(self, pid: int, size: int, place: Place | None, *, not_new: int = 0) -> None:
        """Process `pid` holds `size` now, and was in `place`; of what it grew by, others held `not_new` before."""
        before = self._size.get(pid, 0)
        self._size[pid] = size
        self._changed = True
        pieces = self._held.setdefault(pid, [])
        if size > before + not_new and place is not None:
            self._add(pieces, place, size - before - not_new)
        elif size < before:
            _drop(pieces, before - size)

    def keep_only(self, pids: set[int]) -> None:
        """Forget the processes that have ended."""
        for pid in [pid for pid in self._size if pid not in pids]:
            del self._size[pid]
            self._held.pop(pid, None)
            self._changed = True

    def now(self) -> dict[Place, int]:
        """What is held now, by place."""
        held: dict[Place, int] = {}
        for pieces in self._held.values():
            for place, size in pieces:
                held[place] = held.get(place, 0) + size
        return held

    def note_peak(self) -> None:
        """Memory was never higher than now."""
        if self._changed:
            self.at_peak, self._changed = self.now(), False

    @staticmethod
    def _add(pieces: list[tuple[Place, int]], place: Place, size: int) -> None:
        if pieces and pieces[-1][0] == place:
            pieces[-1] = (place, pieces[-1][1] + size)
        else:
            pieces.append((place, size))
        # Seldom: of a thousand stacks, as many pieces stay.
        if len(pieces) > _MOST_PIECES and len(pieces) % (_MOST_PIECES // 2) == 1:
            together: dict[Place, int] = {}
            for one, held in pieces:
                together[one] = together.get(one, 0) + held
            pieces[:] = together.items()


def _drop(pieces: list[tuple[Place, int]], size: int) -> None:
    while size > 0 and pieces:
        place, held = pieces.pop()
        if held > size:
            pieces.append((place, held - size))
        size -= held


def largest_lines(held: Mapping[Line, int], count: int) -> list[tuple[Line, int]]:
    """The lines that hold most, the largest first; a comprehension's part of a line is that of the line."""
    together: dict[tuple[str, int], tuple[Line, int]] = {}
    for line, size in sorted(held.items(), key=lambda one: (-one[1], one[0])):
        if size > 0:
            named, before = together.get((line.file, line.line), (line, 0))
            together[line.file, line.line] = (named, before + size)
    return sorted(together.values(), key=lambda one: (-one[1], one[0]))[:count]


__all__ = ["charged_line", "is_library"]

if TYPE_CHECKING:
    from collections.abc import Sequence


def charged_line(frames: Sequence[tuple[str, int, str]], program: str) -> Line:
    """Give the line for a stack of (file, line, function), innermost first; line 0 of `program` if none has a file.

    What a library allocates, it allocates for the line that called it; so does code that was made at run time, such as
    a dataclass's __init__ in "<string>".
    """
    place = user_place(frames)
    if place is not None:
        return Line(*frames[place])
    files = [frame for frame in frames if not frame[0].startswith("<")]
    # A library's own thread begins in the standard library, which says nothing of whose it is.
    outermost = ([frame for frame in files if not frame[0].endswith("/threading.py")] or files)[-1:]
    return Line(*outermost[0]) if outermost else Line(program, 0, "")
