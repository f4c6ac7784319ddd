"""What a supervisor has seen of its job so far: peaks, the largest process, and where it grew."""

from __future__ import annotations

import time
from dataclasses import field
from typing import TYPE_CHECKING

from oomguard.kernel.proc import ProcFiles
from oomguard.records import dataclass
from oomguard.supervision.rules.limits import FASTEST_BYTES_A_SECOND, PeakBound

if TYPE_CHECKING:
    from oomguard.kernel.model import ProcessFacts
    from oomguard.supervision.backends.base import Backend, MemoryReading
    from oomguard.supervision.growth.forecast import InputForecast, InputGrowth
    from oomguard.supervision.growth.ledger import GrowthLedger
    from oomguard.supervision.model import Snapshot

_FIRST_SLOW_LOOK_SECONDS = 0.02
_SLOW_LOOK_SECONDS = 0.25
_SLOW_LOOK_COST_PART = 400  # looks at each process take at most this part of the time
_FIRST_SLOW_LOOK_COST_SECONDS = 0.01  # its imports: 7 ms
_SLOW_LOOK_COST_SECONDS = 0.001
_CALM_GROWTH = 1 << 16  # bytes from one look to the next
_LEDGER_FRACTION = 0.5  # of the budget: from here on it is kept where the job grows
_LEDGER_COST_SECONDS = 0.001  # of a look, at most
_LEDGER_IMPORT_SECONDS = 0.01
_LEDGER_LOADED, _LEDGER_LOADED_SECONDS = 0.25, 1.0  # of the budget, or after so long: a short job does without
_MARK_SECONDS = 0.01
_RISE = 1.05  # of what the job held when its largest process was last looked for
_MOST_LOOKED_AT = 16


class JobSamples:
    """Filled by look(). Units: bytes."""

    def __init__(self, backend: Backend, began: float, *, at_each: bool = True) -> None:
        """Look at the job of `backend`, which began at `began` on the monotonic clock.

        `at_each`: look at its processes and their files as well, unless somebody else does.
        """
        self._backend = backend
        self._proc = ProcFiles()
        self._next_slow = began + _FIRST_SLOW_LOOK_SECONDS if at_each else float("inf")
        self._looks_itself, self._began = at_each, began
        self._bound = PeakBound()
        self._next_mark = 0.0
        self._largest_at = 0  # what the job held then
        self._slow_cost_seconds = _FIRST_SLOW_LOOK_COST_SECONDS
        self._has_looked = False
        self._last_unreclaimable = 0
        self._inputs: InputGrowth | None = None
        self._warned = False
        self._fresh = False
        self.peak_unreclaimable = 0
        self.peak_shmem = 0
        self.largest = 0  # what the largest process held of it, when it was looked at
        self.ledger: GrowthLedger | None = None
        self.processes: list[ProcessFacts] = []  # as they were at the last slow look

    def look(self) -> MemoryReading:
        """Measure the job; now and then, its processes and the files it reads as well."""
        cpu_before = time.thread_time()
        measure = self.measure()
        now = time.monotonic()
        if self._looks_itself:
            self._find_largest(measure.unreclaimable)
            self._keep_ledger(measure.unreclaimable, cpu_before)
        if now >= self._next_slow and self._has_time(measure.unreclaimable, self._slow_cost_seconds):
            self._take_a_slow_look(now)
        self._last_unreclaimable = measure.unreclaimable
        return measure

    def measure(self) -> MemoryReading:
        """Measure the job, and nothing else."""
        measure = self._backend.read_memory()
        self.peak_unreclaimable = max(self.peak_unreclaimable, measure.for_people)
        self.peak_shmem = max(self.peak_shmem, measure.shmem)
        now = time.monotonic()
        mark = None
        if self._looks_itself and now >= self._next_mark:  # else somebody else asks for it
            mark, self._next_mark = self._backend.take_mark(), now + _MARK_SECONDS
        self._bound.take(measure.unreclaimable, max(0, (measure.cache or 0) - measure.shmem), mark)
        return measure

    def glimpse(self) -> None:
        """The kernel tells of growth: where that is, if it is sought."""
        if self.ledger is not None:
            self.ledger.glimpse()

    @property
    def is_seeking(self) -> bool:
        """Whether the line that grows would be found by looking more often."""
        return self.ledger is not None and self.ledger.is_seeking

    @property
    def peak_at_most(self) -> int | None:
        """What no peak was above; None: not known."""
        return self._bound.at_most

    def _find_largest(self, unreclaimable: int) -> None:
        """As the job grows, see how much of that its largest process has."""
        if unreclaimable < _RISE * self._largest_at or not self._has_time(unreclaimable, _LEDGER_COST_SECONDS):
            return
        self._largest_at = unreclaimable
        pids = self._backend.pids()[:_MOST_LOOKED_AT]
        sizes = (self._proc.unreclaimable_bound(pid) or 0 for pid in pids)
        self.largest = max(self.largest, min(max(sizes, default=0), unreclaimable))  # shared pages count whole there

    def _take_a_slow_look(self, now: float) -> None:
        """Look at each process, and say when to do so again: by the CPU time that it took, less the first's imports."""
        cpu_before = time.process_time()
        self._look_at_each()
        cpu_seconds = time.process_time() - cpu_before if self._has_looked else 0.0
        self._slow_cost_seconds = time.monotonic() - now if self._has_looked else _SLOW_LOOK_COST_SECONDS
        self._has_looked = True
        self._next_slow = now + max(_SLOW_LOOK_SECONDS, _SLOW_LOOK_COST_PART * cpu_seconds)

    def _keep_ledger(self, unreclaimable: int, cpu_before: float) -> None:
        """From half of the budget on, see where the job grows. What that needs is loaded before, when there is time."""
        if self.ledger is None:
            is_worth_it = unreclaimable >= _LEDGER_LOADED * self._backend.limits.budget or (
                time.monotonic() - self._began >= _LEDGER_LOADED_SECONDS
            )
            if is_worth_it and self._has_time(unreclaimable, _LEDGER_IMPORT_SECONDS):
                from oomguard.supervision.growth.ledger import GrowthLedger

                self.ledger = GrowthLedger(self._backend.limits.budget, self._began)
            return
        is_near = unreclaimable >= _LEDGER_FRACTION * self._backend.limits.budget
        if is_near and self._has_time(unreclaimable, _LEDGER_COST_SECONDS):
            pids = self._backend.pids()
            self.ledger.look(pids, unreclaimable, spent_seconds=time.thread_time() - cpu_before)

    def _has_time(self, unreclaimable: int, seconds: float) -> bool:
        """Whether the job cannot reach its budget while it is looked at for so long, or does not grow at all."""
        if unreclaimable - self._last_unreclaimable < _CALM_GROWTH:
            return True
        headroom = self._backend.limits.budget - unreclaimable
        return headroom / FASTEST_BYTES_A_SECOND >= seconds

    def take(self, held: Snapshot) -> None:
        """Take over what was seen while the job was held."""
        self.peak_unreclaimable = max(self.peak_unreclaimable, held.unreclaimable)
        self._take_processes(list(held.processes))

    def forecast(self) -> InputForecast | None:
        """A straight line that meets the budget before the input ends: once, as soon as it can be drawn."""
        if self._warned or not self._fresh or self._inputs is None:
            return None
        self._fresh = False
        found = self._inputs.forecast()
        if found is None or found[0].at_end < self._backend.limits.budget:
            return None
        self._warned = True
        return found

    def last_forecast(self) -> InputForecast | None:
        """The line as it is now."""
        return self._inputs.forecast() if self._inputs is not None else None

    def close(self) -> None:
        """Measure once more: a short job may have ended between two looks."""
        self._next_mark = 0.0
        self.measure()
        if self.ledger is not None:
            self.ledger.close()

    def _look_at_each(self) -> None:
        from oomguard.kernel.proc.memory import read_processes
        from oomguard.supervision.growth.forecast import InputGrowth  # here, so that the command need not wait for them

        self._inputs = self._inputs or InputGrowth()
        pids = self._backend.pids()
        self._inputs.look(pids)
        # of the moment that the positions are of
        self._inputs.take(self._backend.read_memory().unreclaimable)
        self._take_processes(read_processes(pids, exact=False))
        self._fresh = True

    def _take_processes(self, processes: list[ProcessFacts]) -> None:
        if processes:
            self.processes = processes
            self.largest = max(
                self.largest, *(each.unreclaimable for each in processes if each.exact or len(processes) == 1), 0
            )


@dataclass(kw_only=True)
class RunRecord:
    """What became of the job. Units: bytes, seconds."""

    status: int = 0  # as waitpid() gives it
    stopped: bool = False  # by the supervisor, at the budget
    refused: bool = False  # memory, by the kernel at the hard limit, before the supervisor had looked
    oom_kills: int = 0
    seconds: float = 0.0
    peak_with_cache: int | None = None
    held: Snapshot | None = None
    left_behind: int = 0  # processes that continue in the background
    samples: JobSamples = field(repr=False)
