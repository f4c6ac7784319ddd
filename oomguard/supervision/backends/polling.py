"""The budget of a job where no cgroup is to be had: its processes are measured over /proc, and stopped by signals.

What it cannot do: a burst between two looks passes the budget (measured: 3 to 7 MB at 1.8 GB/s with a look each
5 ms); swap stays open; kernel memory is not seen.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.cgroup.freezer import StopSignals
from oomguard.kernel.proc import ProcessTree, ProcFiles
from oomguard.kernel.proc.memory import TreeMemory
from oomguard.kernel.proc.open_files import TmpfsFiles
from oomguard.kernel.process import signal_if
from oomguard.supervision.backends.base import MemoryReading
from oomguard.supervision.kernel_kills import TreeKills
from oomguard.supervision.rules.limits import FASTEST_BYTES_A_SECOND, JobLimits, plan_job_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.proc import ProcStat
    from oomguard.kernel.model import LimitAbove
    from oomguard.kernel.proc.memory import ForkFamily
    from oomguard.supervision.options import Way

CANNOT = "a burst can exceed it, kernel memory is not counted, and swap stays enabled and counts"
_NEAR_FRACTION = 0.8  # of the budget: from here on shared pages are divided, which costs 8.6 ms for each GB
_EXACT_COST_PART = 10  # exact looks take at most one tenth of the time,
_FAR_COST_PART = 200  # and far from the budget half a hundredth: there they only tell how much it was
_EXACT_SECONDS_A_BYTE = 2e-11
_KILL_PATIENCE_SECONDS = 10.0
_SURE_LOOKS = 3


class PollingBackend:
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
        self._bystanders = bystanders
        self._above = above
        self.limits: JobLimits = plan_job_limits(asked, above)
        self.caveats: tuple[str, ...] = self.limits.notes
        self._root: int | None = None
        self._tree: ProcessTree | None = None
        self._memory: TreeMemory | None = None
        self._stopper = StopSignals(self.pids, self._membership, root)
        self._tmpfs = TmpfsFiles(root)
        self._kills = TreeKills()
        self._seen: set[int] = set()
        self._proc = ProcFiles(root)
        self._machine = root
        self._family: ForkFamily | None = None
        self._looked_at: frozenset[int] = frozenset()  # the processes of the last exact look
        self._shared_twice = 0  # what the bound counted too often then
        self._next_exact = self._next_far = 0.0
        self._highest = 0  # that was seen of a job of several processes, pages that they share once

    def watch_below(self, pid: int, *, without: frozenset[int] = frozenset(), family: ForkFamily | None = None) -> None:
        """The job is what lives below this process, such as the reaper; except for `without` and what they start.

        Pages that a member of the `family` maps too do not count.
        """
        self._root = pid
        self._family = family
        self._tree = ProcessTree(pid, with_root=False, without=without, root=self._machine)
        self._memory = TreeMemory(pid, with_root=False, without=without, root=self._machine)

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
        """The upper bound; near the budget, less what it was found to count twice; or `exact`, what it really is.

        Far from it what is `likely` is found out now and then, for people to be told.

        What is counted twice changes without the bound when a process ends, forks, or writes to a page that it shared,
        so near the budget it is found out anew, at once or now and then: it costs 8.6 ms for each GB.
        """
        assert self._memory is not None
        bounds = self._memory.bounds()
        self._seen |= bounds.keys()
        files = self._tmpfs.size(list(bounds))
        bound = sum(bounds.values()) + self._unmapped(files, bounds, exact=False)
        began = time.monotonic()
        is_near = bound >= _NEAR_FRACTION * self.limits.budget
        known = self._shared_twice if self._looked_at == bounds.keys() else 0
        likely = max(0, bound - known)
        if not exact and not is_near and not self._is_worth_a_look(len(bounds), bound, began):
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
        self._next_exact = began + self._pause_seconds(cost_seconds, bound, held)
        self._next_far = began + cost_seconds * _FAR_COST_PART
        self._highest = max(self._highest, held)
        if exact or is_near:
            return MemoryReading(unreclaimable=held, shmem=files, cache=None, exact=True)
        return MemoryReading(unreclaimable=bound, shmem=files, cache=None, exact=False, likely=held)

    def _is_worth_a_look(self, processes: int, bound: int, now: float) -> bool:
        """Whether several processes may hold more than ever, and there is time to see how much they share.

        The bound stays when one writes to a page that it shared.
        """
        headroom_seconds = (self.limits.budget - bound) / FASTEST_BYTES_A_SECOND
        may_be_new = processes > 1 and bound > self._highest and now >= self._next_far
        return may_be_new and headroom_seconds > bound * _EXACT_SECONDS_A_BYTE

    def _pause_seconds(self, cost_seconds: float, bound: int, held: int) -> float:
        """Until the next exact look; sooner where the job can pass its budget without the bound growing."""
        longest = cost_seconds * _EXACT_COST_PART
        if bound < self.limits.budget:
            return longest
        return min(longest, max(cost_seconds, (self.limits.budget - held) / FASTEST_BYTES_A_SECOND))

    def _unmapped(self, files: int, bounds: dict[int, int], *, exact: bool) -> int:
        """Of `files` bytes in tmpfs, those that no process maps: what is mapped is in its account already."""
        assert self._memory is not None
        if not files:
            return 0
        family = self._family.pids if self._family is not None else []
        return max(0, files - self._memory.mapped_shmem([*bounds, *family], exact=exact))

    def peak_with_cache(self) -> int | None:
        """Page cache is in no process's account."""
        return None

    def take_mark(self) -> int | None:
        """Nobody keeps one."""
        return None

    def oom_kills(self, *, ended_by_sigkill: bool) -> int:
        """How many of its processes the kernel killed for memory, as far as it says."""
        return self._kills.count(self._seen, ended_by_sigkill=ended_by_sigkill)

    def met_its_limit(self) -> bool:
        """Nobody refuses it anything."""
        return False

    def swap_left(self) -> int:
        """What is swapped out is counted as used here, so that swap is no way out of the budget."""
        return 0

    def pids(self) -> list[int]:
        """The job's processes."""
        return self._tree.pids() if self._tree is not None else []

    def freeze(self) -> bool:
        """SIGSTOP to each; False: one still runs, in a system call. Raises: nothing."""
        return self._stopper.freeze()

    def thaw(self) -> None:
        """SIGCONT to those that were stopped. Raises: nothing."""
        self._stopper.thaw()

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

    def signal(self, number: int, only: Callable[[int], bool] = lambda _: True) -> None:
        """Send a signal to each process of the job, or to those of them that `only` names. Raises: nothing."""
        pids = self.pids()
        is_member = self._membership(pids)
        for pid in filter(only, pids):
            signal_if(pid, number, is_member)

    def kill(self) -> None:
        """SIGKILL all of it, and wait until nothing is left. Raises: nothing."""
        until = time.monotonic() + _KILL_PATIENCE_SECONDS
        looks = 0  # one that ends while the tree is read hands on children that were not seen
        while looks < _SURE_LOOKS and time.monotonic() < until:
            looks = 0 if self.is_alive() else looks + 1
            self.signal(signal.SIGKILL)
            time.sleep(0.002)
        if self._root == os.getpid():
            _bury(self.pids())

    def close(self) -> None:
        """Nothing was made, so nothing is left."""

    def is_alive(self) -> bool:
        """Whether any of its processes still runs; a zombie does not."""
        stats = [self._proc.stat(pid) for pid in self.pids()]
        return any(stat is not None and stat.state not in "ZX" for stat in stats)

    def _membership(self, pids: list[int]) -> Callable[[ProcStat], bool]:
        """Whether a process's parent is the reaper or one of `pids`: that of a reused pid is another."""
        parents = {self._root, *pids}
        return lambda stat: stat.parent_pid in parents


def _bury(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ChildProcessError):  # its own parent still lives
            os.waitpid(pid, os.WNOHANG)
