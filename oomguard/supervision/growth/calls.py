"""The stacks that memory grew in, each kept once under a number: who called whom, and the line that is charged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.supervision.growth.line_growth import Line, charged_line
from oomguard.supervision.growth.model import GrownCall, GrownStack
from oomguard.supervision.rules.user_code import is_library

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MOST_STACKS = 2000  # later ones are kept as their charged line alone: a recursion makes a new one at each depth
_MOST_LINES = 20_000
_MOST_FRAMES = 100  # of a stack; of a deeper one the innermost
_MOST_SOURCES = 2000
_TOLD = 300  # stacks, the largest


@dataclass(slots=True)
class CallTable:
    """`read_source(pid, file, line)` gives a line's text, for the frames of the user's own files."""

    read_source: Callable[[int, str, int], str]
    sources: dict[tuple[str, int], str] = field(default_factory=dict)
    _stacks: list[tuple[Line, ...]] = field(default_factory=list)  # outermost first
    _charged: list[Line] = field(default_factory=list)
    _numbers: dict[tuple[Line, ...], int] = field(default_factory=dict)
    _calls: dict[int, tuple[GrownCall, ...]] = field(default_factory=dict)  # as they were told

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
        return number

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
