"""Which line of code growth is charged to, who called it, and how much grew there."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Generic, TypeVar

from oomguard.records import dataclass
from oomguard.supervision.model import GrownCall, GrownStack
from oomguard.supervision.rules.user_code import is_library, only_waits, user_place, waits_in

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

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


_MOST_STACKS = 2000  # later ones are kept as their charged line alone: a recursion makes a new one at each depth
_MOST_LINES = 20_000
_MOST_FRAMES = 100  # of a stack; of a deeper one the innermost
_MOST_SOURCES = 2000
_TOLD = 300  # stacks, the largest
_Call = tuple[tuple[int, ...], str, str]  # the lines around it, by number, and its file and function


@dataclass(slots=True)
class CallTable:
    """`read_source(pid, file, line)` gives a line's text, for the frames of the user's own files."""

    read_source: Callable[[int, str, int], str]
    sources: dict[tuple[str, int], str] = field(default_factory=dict)
    _stacks: list[tuple[Line, ...]] = field(default_factory=list)  # outermost first
    _charged: list[Line] = field(default_factory=list)
    _numbers: dict[tuple[Line, ...], int] = field(default_factory=dict)
    _calls: dict[int, tuple[GrownCall, ...]] = field(default_factory=dict)  # as they were told
    # For awake(), which compares all stacks: each stack's lines by number, and where in it the thread sleeps.
    _line_numbers: dict[Line, int] = field(default_factory=dict)
    _around: list[tuple[int, ...]] = field(default_factory=list)
    _asleep: list[int | None] = field(default_factory=list)

    def number(self, frames: Sequence[tuple[str, int, str]], program: str, pid: int) -> int:
        """Give the number of a stack of (file, line, function), innermost first, or of a program without one."""
        line = charged_line(frames, program)
        known = [frame for frame in frames[:_MOST_FRAMES] if not frame[0].startswith("<frozen ")]
        stack = tuple(Line(*frame) for frame in reversed(known)) or (line,)
        if stack not in self._numbers and len(self._stacks) >= _MOST_STACKS:
            stack = (line,) if (line,) in self._numbers or len(self._stacks) < _MOST_LINES else (Line(program, 0, ""),)
            line = stack[0]
        number = self._numbers.get(stack)
        if number is None:
            number = self._numbers[stack] = len(self._stacks)
            self._stacks.append(stack)
            self._charged.append(line)
            self._keep_sources(pid, line, stack)
            numbers = self._line_numbers
            self._around.append(tuple(numbers.setdefault(each, len(numbers)) for each in stack))
            self._asleep.append(self._sleeps_at(stack, line))
        return number

    def awake(self, held: Mapping[int, int]) -> dict[int, int]:
        """Give what each stack holds, with that of sleeping threads where the same function grew while it ran.

        A sample that finds a thread asleep sees what it allocated before, in the calls around.
        """
        asleep: dict[_Call, dict[int, int]] = {}
        for number, size in held.items():
            place = self._asleep[number]
            if place is not None:
                asleep.setdefault(self._call_at(number, place), {})[number] = size
        found = {number: size for number, size in held.items() if self._asleep[number] is None}
        beside = self._beside(asleep, found)
        for call, sleeping in asleep.items():
            running = beside.get(call, {})
            if not running:
                found |= sleeping
                continue
            size, together = sum(sleeping.values()), sum(running.values())
            for other, its in running.items():
                found[other] += size * its // together
            left = size - sum(size * its // together for its in running.values())
            found[max(running, key=running.__getitem__)] += left
        return found

    def _beside(self, asleep: Mapping[_Call, object], running: Mapping[int, int]) -> dict[_Call, dict[int, int]]:
        """The stacks that run in the very call in which others sleep, by the call, with what they hold."""
        places = sorted({len(call[0]) for call in asleep})
        beside: dict[_Call, dict[int, int]] = {}
        for number, size in running.items():
            for place in places:
                if place >= len(self._stacks[number]):
                    break
                call = self._call_at(number, place)
                if call in asleep:
                    beside.setdefault(call, {})[number] = size
        return beside

    def _call_at(self, number: int, place: int) -> _Call:
        line = self._stacks[number][place]
        return self._around[number][:place], line.file, line.function

    def _sleeps_at(self, stack: tuple[Line, ...], charged: Line) -> int | None:
        """The place of the user's line in the stack of a thread that only waits there. None: it works."""
        if charged not in stack or not only_waits(self.sources.get((charged.file, charged.line), "")):
            return None
        place = len(stack) - 1 - stack[::-1].index(charged)
        return place if all(waits_in(line.file) for line in stack[place + 1 :]) else None

    def by_line(self, held: Mapping[int, int]) -> dict[Line, int]:
        """Give what each charged line holds, from what each stack holds."""
        sums: dict[Line, int] = {}
        for number, size in held.items():
            line = self._charged[number]
            sums[line] = sums.get(line, 0) + size
        return sums

    def told(self, held: Mapping[int, int]) -> tuple[GrownStack, ...]:
        """Give the stacks that hold most, the largest first."""
        largest = sorted(
            ((size, number) for number, size in held.items() if size > 0), key=lambda one: (-one[0], one[1])
        )
        return tuple(
            GrownStack(number=number, grew_bytes=size, calls=self._told_calls(number))
            for size, number in largest[:_TOLD]
        )

    def _told_calls(self, number: int) -> tuple[GrownCall, ...]:
        if number not in self._calls:
            self._calls[number] = tuple(map(self._call, self._stacks[number]))
        return self._calls[number]

    def _call(self, line: Line) -> GrownCall:
        source = self.sources.get((line.file, line.line), "")
        return GrownCall(file=line.file, line=line.line, function=line.function, source=source)

    def _keep_sources(self, pid: int, charged: Line, stack: tuple[Line, ...]) -> None:
        for line in {charged, *(each for each in stack if not is_library(each.file))}:
            where = (line.file, line.line)
            if line.line and where not in self.sources and len(self.sources) < _MOST_SOURCES:
                self.sources[where] = self.read_source(pid, line.file, line.line)
