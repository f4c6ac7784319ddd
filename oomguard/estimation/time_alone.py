"""How long a run would have taken with the CPUs to itself, whatever else ran beside it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.proc import ProcessTree, ProcFiles

if TYPE_CHECKING:
    from collections.abc import Callable

_STRETCH_SECONDS = 0.25  # much more than the scheduler lets one program run while others wait
_NANOSECONDS = 1_000_000_000


class TimeAlone:
    """Watches a process and its descendants from their start: `look` often, ask for the `seconds` at the end.

    In each stretch of time, what the processes did would take as long as the busiest of them ran, or all of them
    together on all CPUs. What is left is of two kinds: in it some of them waited for a CPU, and that time would not be
    there; or all slept, for the disk or each other, and it would. Kernels without scheduler statistics show no waiting.
    """

    def __init__(
        self, root_pid: int, *, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic, cpus: int = 0
    ) -> None:
        """Watch the tree of `root_pid` by the /proc of `root`."""
        self._proc = ProcFiles(root)
        self._tree = ProcessTree(root_pid, root=root)
        self._cpus = cpus or len(os.sched_getaffinity(0))
        self._clock = clock
        self._began = clock()
        self._seconds = 0.0
        self._times: dict[int, tuple[float, float]] = {}  # of each process: seconds that it ran, that it waited
        self._before: dict[int, tuple[float, float]] = {}  # the same when the stretch began

    def look(self) -> None:
        """Read the times of all processes; what one does behind the last look at it is taken for sleep."""
        for pid in self._tree.pids():
            told = self._proc.read(f"{pid}/schedstat").split()
            if len(told) > 1:
                self._times[pid] = int(told[0]) / _NANOSECONDS, int(told[1]) / _NANOSECONDS
        if self._clock() - self._began >= _STRETCH_SECONDS:
            self._end_stretch()

    def seconds(self) -> float:
        """Up to now."""
        self._end_stretch()
        return self._seconds

    def _end_stretch(self) -> None:
        now = self._clock()
        ran, active = [0.0], [0.0]
        for pid, (run, wait) in self._times.items():
            run_before, wait_before = self._before.get(pid, (0.0, 0.0))
            ran.append(run - run_before)
            active.append(run - run_before + wait - wait_before)
        lasted = now - self._began
        slept = max(0.0, lasted - max(active))
        self._seconds += min(lasted, max(*ran, sum(ran) / self._cpus) + slept)
        self._before = dict(self._times)
        self._began = now
