"""When a job is looked at again: before its memory can have reached the budget."""

from __future__ import annotations

from oomguard.supervision.rules.limits import FASTEST_BYTES_A_SECOND

_LONGEST_STEP_SECONDS = 0.5
_GROWING_STEP_SECONDS = 0.05  # above half of the budget, where it is kept in which line a job grows
_SEEKING_STEP_SECONDS = 0.002  # there, while it was only met asleep,
_SEEKING_LOOKS = 500  # unless so many looks saw no growth
_CALM_LOOKS = 16  # without growth, after which a job near its budget is looked at less often
_CALM_STEP_SECONDS = 0.02


class Pace:
    """Remembers the last looks."""

    def __init__(self, *, the_kernel_tells: bool) -> None:
        """`the_kernel_tells` of the budget: then there is less need to look."""
        self.least_step = 0.01 if the_kernel_tells else 0.002
        self.is_near = True  # its budget: only then the kernel's word is waited for
        self._last_unreclaimable = 0
        self._calm_looks = 0

    def step(self, unreclaimable: int, *, budget: int, is_seeking: bool) -> float:
        """How long memory cannot reach the budget. Near it, and calm: a little longer, as the kernel stands behind."""
        grown = abs(unreclaimable - self._last_unreclaimable) > 1 << 16
        self._last_unreclaimable = unreclaimable
        self._calm_looks = 0 if grown else self._calm_looks + 1
        headroom = budget - unreclaimable
        # v2 tells of every reclaim at memory.high, also while only page cache is there to reclaim.
        self.is_near = headroom < budget // 2
        least = _CALM_STEP_SECONDS if self._calm_looks > _CALM_LOOKS else self.least_step
        if unreclaimable == 0:
            return least  # nothing that runs holds nothing: it could not be read this time
        longest = _GROWING_STEP_SECONDS if grown and self.is_near else _LONGEST_STEP_SECONDS
        if self.is_near and self._calm_looks < _SEEKING_LOOKS and is_seeking:
            return _SEEKING_STEP_SECONDS
        return min(max(headroom / FASTEST_BYTES_A_SECOND, least), longest)
