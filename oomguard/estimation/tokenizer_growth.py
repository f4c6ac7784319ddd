"""How the memory of a tokenizer grows with the text that it has seen: measured on a part, continued to the whole.

gigatoken's table of words doubles when it is full, and between two such leaps hardly grows. A table that is twice as
large is full after r times as much text; r is between the last two leaps what it will be between the next two, where
new words come by Heaps' law. Measured on English: leaps at 30, 110 and 373 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_LEAP = 3 * MIB
_LEAP = 0.25  # of what there was: less is growth between leaps
_USUAL_RATIO = 3.3  # of text between leaps: Heaps' law with exponent 0.58
_RATIOS = (2.0, 6.0)
_BETWEEN = 0.15  # by which memory grows from one leap to the next
_FULL = 2.0  # times a leap: the new table, while the old one is still there
_NO_END = 1 << 50


@dataclass(frozen=True, slots=True)
class Leap:
    """The table doubles. Units: bytes."""

    text: int
    before: int
    after: int

    @property
    def most(self) -> int:
        """With both tables, for a moment."""
        return self.before + round(_FULL * (self.after - self.before))


@dataclass(frozen=True, slots=True)
class TokenizerGrowth:
    """Memory beyond that of a tokenizer which knows nothing. Units: bytes."""

    points: tuple[tuple[int, int], ...]  # text seen, memory; in the order of the text, from (0, 0)
    leaps: tuple[Leap, ...]  # those that were measured, then those to come

    def at(self, text: float) -> float:
        """The memory after so much text."""
        last, held = self.points[-1]
        if text <= last:
            return _between(self.points, text)
        for leap in self.leaps:
            if leap.text <= last:
                continue
            if text < leap.text:
                return held + (leap.before - held) * (text - last) / (leap.text - last)
            last, held = leap.text, leap.after
        return held

    def leap_between(self, text: float, more: float) -> Leap | None:
        """The last leap of a tokenizer that has seen `text` and sees up to `more`."""
        return next((leap for leap in reversed(self.leaps) if text < leap.text <= more), None)


def continue_growth(measured: Sequence[tuple[int, int]]) -> TokenizerGrowth | None:
    """Find the leaps in what was measured (text, memory) and those that will follow. None: there is none in it."""
    points = ((0, 0), *measured)
    found = [
        Leap(text, before, after)
        for (_, before), (text, after) in pairwise(points)
        if after - before > max(_LEAST_LEAP, _LEAP * before)
    ]
    if not found:
        return None
    ratio = found[-1].text / found[-2].text if len(found) > 1 else _USUAL_RATIO
    ratio = min(max(ratio, _RATIOS[0]), _RATIOS[1])
    leaps = list(found)
    while leaps[-1].text < _NO_END:
        last = leaps[-1]
        held = max(last.after, points[-1][1]) if last is found[-1] else last.after
        before = round(max(held, last.after * (1 + _BETWEEN)))
        text = max(round(last.text * ratio), points[-1][0] + 1)
        leaps.append(Leap(text, before, before + 2 * (last.after - last.before)))
    return TokenizerGrowth(tuple(points), tuple(leaps))


def _between(points: Sequence[tuple[int, int]], text: float) -> float:
    low, high = 0, len(points) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if points[middle][0] <= text else (low, middle)
    return points[high][1] if text >= points[high][0] else points[low][1]
