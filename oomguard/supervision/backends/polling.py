"""The budget of a job where no cgroup is to be had: its processes are measured over /proc, and stopped by signals.

What it cannot do: a burst between two looks passes the budget (measured: 3 to 7 MB at 1.8 GB/s with a look each
5 ms); swap stays open; kernel memory is not seen.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.supervision.backends.polled_memory import PolledMemory
from oomguard.supervision.backends.tree_members import TreeMembers
from oomguard.supervision.kernel_kills import TreeKills
from oomguard.supervision.rules.limits import JobLimits, plan_job_limits

if TYPE_CHECKING:
    from oomguard.kernel.model import LimitAbove
    from oomguard.kernel.proc.memory import ForkFamily
    from oomguard.supervision.backends.base import MemoryReading
    from oomguard.supervision.options import Way

CANNOT = "a burst can exceed it, kernel memory is not counted, and swap stays enabled and counts"


class PollingBackend(TreeMembers):
    """Watches the descendants of one process. Below a subreaper, as the reaper is, none gets out by a double fork."""

    kind: Way = "polling"
    cannot = CANNOT
    cgroup = None

    def __init__(
        self,
        asked: int,
        above: list[LimitAbove],
        bystanders: frozenset[int] = frozenset(),
        *,
        root: Path = Path("/"),
    ) -> None:
        """Watch for `asked` bytes, less where `above` has less.

        `bystanders` are the processes that were below this one before there was a job.
        """
        super().__init__(root)
        self._bystanders = bystanders
        self._above = above
        self.limits: JobLimits = plan_job_limits(asked, above)
        self.caveats: tuple[str, ...] = self.limits.notes
        self._memory = PolledMemory(root)
        self._kills = TreeKills()

    def watch_below(self, pid: int, *, without: frozenset[int] = frozenset(), family: ForkFamily | None = None) -> None:
        """The job is what lives below this process, such as the reaper; except for `without` and what they start.

        Pages that a member of the `family` maps too do not count.
        """
        self.look_below(pid, without=without)
        self._memory.look_below(pid, without=without, family=family)

    def take_over(self) -> None:
        """The reaper is gone: what it kept is below this process now, which is a subreaper too."""
        self.watch_below(os.getpid(), without=self._bystanders)

    def add(self, pid: int) -> None:
        """Nothing to do: the job is below the reaper."""

    def wake_on(self) -> list[tuple[int, int]]:
        """Nothing tells of the budget; only looking does."""
        return []

    def is_at_the_limit(self) -> bool:
        """There is no limit to be at."""
        return False

    def read_memory(self, *, exact: bool = False) -> MemoryReading:
        """An upper bound, or near the budget and where it is to be `exact`, what it really is."""
        return self._memory.read(self.limits.budget, exact=exact)

    def peak_with_cache(self) -> int | None:
        """Page cache is in no process's account."""
        return None

    def take_mark(self) -> int | None:
        """Nobody keeps one."""
        return None

    def oom_kills(self, *, ended_by_sigkill: bool) -> int:
        """How many of its processes the kernel killed for memory, as far as it says."""
        return self._kills.count(self._memory.seen, ended_by_sigkill=ended_by_sigkill)

    def met_its_limit(self) -> bool:
        """Nobody refuses it anything."""
        return False

    def swap_left(self) -> int:
        """What is swapped out is counted as used here, so that swap is no way out of the budget."""
        return 0

    def plan_budget(self, budget: int) -> JobLimits:
        """The limits that set_budget() would watch for."""
        return plan_job_limits(budget, self._above)

    def set_budget(self, limits: JobLimits, *, swap_max: int | None) -> None:  # noqa: ARG002 - swap is not in its hand
        """Watch for another budget from now on."""
        self.limits = limits

    def give_grace(self) -> None:
        """There is nothing to give: nothing holds it but signals."""

    def leave_to_the_kernel(self) -> None:
        """There is no limit that the kernel could hold."""

    def close(self) -> None:
        """Nothing was made, so nothing is left."""
