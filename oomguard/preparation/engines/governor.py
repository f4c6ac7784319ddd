"""Keeps a run inside its budget: measures it all the time, and says when to use less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_SECONDS = 0.05
_CAREFUL_SECONDS = 2.0
_HIGH = 0.90  # of the budget: give memory back
_FULL = 0.95  # one worker less
_ROOM = 0.75  # one worker more
_ALMOST_ALL = 0.97

Advice = Literal["go on", "renew", "fewer", "more"]


@dataclass(slots=True)
class Governor:
    """Turns measurements into advice. `measure` gives bytes of unreclaimable memory."""

    budget: int
    measure: Callable[[], int]
    clock: Callable[[], float]
    now: int = 0
    peak: int = 0
    _look_at: float = float("-inf")
    _acted: float = float("-inf")

    def advise(self) -> Advice:
        """Measure, if the last time is long enough ago, and say what to do."""
        time = self.clock()
        if time < self._look_at:
            return "go on"
        self.look()
        # Without a cgroup a look takes 9 ms a GiB: it never costs more than a fiftieth of the time.
        self._look_at = time + max(_EVERY_SECONDS, 50 * (self.clock() - time))
        advice: Advice = "go on"
        if self.now > _FULL * self.budget:
            advice = "fewer"
        elif self.now > _HIGH * self.budget:
            advice = "renew"
        elif self.now < _ROOM * self.budget:
            advice = "more"
        # What was done needs a moment before it shows; growing back can wait longest.
        pause = _CAREFUL_SECONDS if advice == "more" else _CAREFUL_SECONDS / 10
        if advice == "go on" or time - self._acted < pause:
            return "go on"
        self._acted = time
        return advice

    def look(self) -> int:
        """Measure now."""
        self.now = self.measure()
        self.peak = max(self.peak, self.now)
        return self.now

    def room(self) -> int:
        """Give the bytes that are left below the mark where memory is given back."""
        return int(_HIGH * self.budget) - self.look()

    def room_for_one_step(self) -> int:
        """Give the bytes that are left for a step whose need is known, with nothing else going on."""
        return int(_ALMOST_ALL * self.budget) - self.look()
