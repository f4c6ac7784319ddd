"""How long to wait until the next sample: short while memory grows, long while it rests, and never too dear."""

from __future__ import annotations

from dataclasses import dataclass

from oomguard.units import MIB

_SHORTEST = 0.005  # seconds
_LONGEST = 0.5
# Seconds without a change, and the longest step after them. At first a process that holds something for 0.2 s is seen.
_RESTING = ((120.0, _LONGEST), (30.0, 0.2), (0.0, 0.1))
_GROWTH = 1 * MIB
_GROWTH_PART = 256  # of what is held
_CALM_PART = 140  # a sample takes at most one part of so many of the time, while nothing grows
_BUSY_PART = 8
_CALM_SECONDS = 1.0
_CREDIT = 0.2  # seconds of CPU: what growth may cost before it is as dear as rest


@dataclass(slots=True)
class SamplingStep:
    """Adapts after each sample."""

    step: float = _SHORTEST
    _last: int = 0
    _changed: float = 0.0
    _spent: float = 0.0  # seconds of CPU

    def after(self, unreclaimable: int, *, seconds: float, cost: float) -> float:
        """Give the seconds to wait, after a sample at `seconds` that took `cost` seconds of CPU."""
        change = abs(unreclaimable - self._last)
        self._last = unreclaimable
        if change > _GROWTH + unreclaimable // _GROWTH_PART:
            self._changed = seconds
            self.step = _SHORTEST
        else:
            rested = seconds - self._changed
            most = next(step for after, step in _RESTING if rested >= after)
            self.step = min(most, self.step * 1.5)
        # Whoever rests costs little: then a dear sample, of many processes, comes seldom. Whoever grows for hours, too.
        self._spent += cost
        calm = seconds - self._changed > _CALM_SECONDS or self._spent > _CREDIT + seconds / _CALM_PART
        part = _CALM_PART if calm else _BUSY_PART
        return min(_LONGEST, max(self.step, part * cost))
