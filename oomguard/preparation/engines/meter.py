"""Measures a run's memory all the time, for its progress and its peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_SECONDS = 0.05


@dataclass(slots=True)
class MemoryMeter:
    """`measure` gives bytes of unreclaimable memory."""

    budget: int
    measure: Callable[[], int]
    clock: Callable[[], float]
    now: int = 0
    peak: int = 0
    _look_at: float = float("-inf")

    def look_now_and_then(self) -> None:
        """Measure, if the last time is long enough ago."""
        time = self.clock()
        if time >= self._look_at:
            self.look()
            # Without a cgroup a look takes 9 ms a GiB: it never costs more than a fiftieth of the time.
            self._look_at = time + max(_EVERY_SECONDS, 50 * (self.clock() - time))

    def look(self) -> int:
        """Measure now."""
        self.now = self.measure()
        self.peak = max(self.peak, self.now)
        return self.now
