"""What the processes of a job hold, measured over /proc: an upper bound, or near the budget what it really is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oomguard.kernel.proc.memory import TreeMemory
from oomguard.kernel.proc.open_files import TmpfsFiles
from oomguard.supervision.backends.base import MemoryReading
from oomguard.supervision.rules.limits import FASTEST_BYTES_A_SECOND

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.kernel.proc.memory import ForkFamily

_NEAR_FRACTION = 0.8  # of the budget: from here on shared pages are divided, which costs 8.6 ms for each GB
_EXACT_COST_PART = 10  # exact looks take at most one tenth of the time,
_FAR_COST_PART = 200  # and far from the budget half a hundredth: there they only tell how much it was
_EXACT_SECONDS_A_BYTE = 2e-11


class PolledMemory:
    """Of the processes below one."""

    def __init__(self, root: Path) -> None:
        """Of none, yet."""
        self.seen: set[int] = set()  # all processes that were there at a look
        self._root = root
        self._memory: TreeMemory | None = None
        self._family: ForkFamily | None = None
        self._tmpfs = TmpfsFiles(root)
        self._looked_at: frozenset[int] = frozenset()  # the processes of the last exact look
        self._shared_twice = 0  # what the bound counted too often then
        self._next_exact = self._next_far = 0.0
        self._highest = 0  # that was seen of a job of several processes, pages that they share once

    def look_below(self, pid: int, *, without: frozenset[int], family: ForkFamily | None) -> None:
        """Measure what is below this process from now on. Pages that a member of the `family` maps too do not count."""
        self._memory = TreeMemory(pid, with_root=False, without=without, root=self._root)
        self._family = family

    def read(self, budget: int, *, exact: bool) -> MemoryReading:
        """The upper bound; near the budget, less what it was found to count twice; or `exact`, what it really is.

        Far from it what is `likely` is found out now and then, for people to be told.

        What is counted twice changes without the bound when a process ends, forks, or writes to a page that it shared,
        so near the budget it is found out anew, at once or now and then: it costs 8.6 ms for each GB.
        """
        assert self._memory is not None
        bounds = self._memory.bounds()
        self.seen |= bounds.keys()
        files = self._tmpfs.size(list(bounds))
        bound = sum(bounds.values()) + self._unmapped(files, bounds, exact=False)
        began = time.monotonic()
        is_near = bound >= _NEAR_FRACTION * budget
        known = self._shared_twice if self._looked_at == bounds.keys() else 0
        likely = max(0, bound - known)
        if not exact and not is_near and not self._is_worth_a_look(budget, len(bounds), bound, began):
            self._highest = max(self._highest, likely)
            return MemoryReading(unreclaimable=bound, shmem=files, cache=None, exact=False, likely=likely)
        if not exact and is_near and self._looked_at == bounds.keys() and began < self._next_exact:
            return MemoryReading(unreclaimable=likely, shmem=files, cache=None, exact=False)
        # The family first: what changes meanwhile, a fork or an end, then makes the answer too low for one look, and
        # nobody is stopped for pages that are another's.
        of_the_family = self._family.shared_since() if self._family is not None else 0
        held = max(0, self._memory.exact(bounds) - of_the_family) + self._unmapped(files, bounds, exact=True)
        self._looked_at = frozenset(bounds)
        self._shared_twice = max(0, bound - held)
        cost_seconds = time.monotonic() - began
        self._next_exact = began + pause_seconds(budget, cost_seconds, bound, held)
        self._next_far = began + cost_seconds * _FAR_COST_PART
        self._highest = max(self._highest, held)
        if exact or is_near:
            return MemoryReading(unreclaimable=held, shmem=files, cache=None, exact=True)
        return MemoryReading(unreclaimable=bound, shmem=files, cache=None, exact=False, likely=held)

    def _is_worth_a_look(self, budget: int, processes: int, bound: int, now: float) -> bool:
        """Whether several processes may hold more than ever, and there is time to see how much they share.

        The bound stays when one writes to a page that it shared.
        """
        headroom_seconds = (budget - bound) / FASTEST_BYTES_A_SECOND
        may_be_new = processes > 1 and bound > self._highest and now >= self._next_far
        return may_be_new and headroom_seconds > bound * _EXACT_SECONDS_A_BYTE

    def _unmapped(self, files: int, bounds: dict[int, int], *, exact: bool) -> int:
        """Of `files` bytes in tmpfs, those that no process maps: what is mapped is in its account already."""
        assert self._memory is not None
        if not files:
            return 0
        family = self._family.pids if self._family is not None else []
        return max(0, files - self._memory.mapped_shmem([*bounds, *family], exact=exact))


def pause_seconds(budget: int, cost_seconds: float, bound: int, held: int) -> float:
    """Until the next exact look; sooner where the job can pass its budget without the bound growing."""
    longest = cost_seconds * _EXACT_COST_PART
    if bound < budget:
        return longest
    return min(longest, max(cost_seconds, (budget - held) / FASTEST_BYTES_A_SECOND))
