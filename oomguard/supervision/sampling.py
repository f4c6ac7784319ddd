"""What a supervisor has seen of its job so far: peaks, the largest process, and how memory grew with the input."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oomguard.supervision.rules.limits import FASTEST_BYTES_A_SECOND
from oomguard.units import MIB

if TYPE_CHECKING:
    from oomguard.kernel.model import OpenInput, ProcessFacts
    from oomguard.supervision.backends.base import Backend, MemoryReading
    from oomguard.supervision.growth.forecast import Forecast, ReadSample
    from oomguard.supervision.held_job import Snapshot

_FIRST_SLOW_LOOK_SECONDS = 0.02
_SLOW_LOOK_SECONDS = 0.25
_SLOW_LOOK_COST_PART = 400  # looks at each process take at most this part of the time
_FIRST_SLOW_LOOK_COST_SECONDS = 0.01  # its imports: 7 ms
_SLOW_LOOK_COST_SECONDS = 0.001
_CALM_GROWTH = 1 << 16  # bytes from one look to the next
_MOST_SAMPLES = 200
_MOST_INPUTS = 32
_FORECAST_MARGIN = 1.1
_WITHOUT_FORECAST = 1.5
_OF_AVAILABLE = 0.9


class JobSamples:
    """Filled by look(). Units: bytes."""

    def __init__(self, backend: Backend, began: float, *, at_each: bool = True) -> None:
        """Look at the job of `backend`, which began at `began` on the monotonic clock.

        `at_each`: look at its processes and their files as well, unless somebody else does.
        """
        self._backend = backend
        self._next_slow = began + _FIRST_SLOW_LOOK_SECONDS if at_each else float("inf")
        self._slow_cost_seconds = _FIRST_SLOW_LOOK_COST_SECONDS
        self._has_looked = False
        self._last_unreclaimable = 0
        self._read: dict[tuple[int, str], list[ReadSample]] = {}
        self._inputs: list[OpenInput] = []
        self._warned = False
        self._fresh = False
        self.peak_unreclaimable = 0
        self.peak_shmem = 0
        self.largest_rss = 0
        self.processes: list[ProcessFacts] = []  # as they were at the last slow look

    def look(self) -> MemoryReading:
        """Measure the job; now and then, its processes and the files it reads as well."""
        measure = self._backend.read_memory()
        self.peak_unreclaimable = max(self.peak_unreclaimable, measure.unreclaimable)
        self.peak_shmem = max(self.peak_shmem, measure.shmem)
        now = time.monotonic()
        if now >= self._next_slow and self._has_time(measure.unreclaimable):
            self._take_a_slow_look(now)
        self._last_unreclaimable = measure.unreclaimable
        return measure

    def _take_a_slow_look(self, now: float) -> None:
        """Look at each process, and say when to do so again: by the CPU time that it took, less the first's imports."""
        cpu_before = time.process_time()
        self._look_at_each()
        cpu_seconds = time.process_time() - cpu_before if self._has_looked else 0.0
        self._slow_cost_seconds = time.monotonic() - now if self._has_looked else _SLOW_LOOK_COST_SECONDS
        self._has_looked = True
        self._next_slow = now + max(_SLOW_LOOK_SECONDS, _SLOW_LOOK_COST_PART * cpu_seconds)

    def _has_time(self, unreclaimable: int) -> bool:
        """Whether the job cannot reach its budget while each process is looked at, or does not grow at all."""
        if unreclaimable - self._last_unreclaimable < _CALM_GROWTH:
            return True
        headroom = self._backend.limits.budget - unreclaimable
        return headroom / FASTEST_BYTES_A_SECOND >= self._slow_cost_seconds

    def take(self, held: Snapshot) -> None:
        """Take over what was seen while the job was held."""
        self.peak_unreclaimable = max(self.peak_unreclaimable, held.unreclaimable)
        self._take_processes(list(held.processes))

    def forecast(self) -> tuple[Forecast, OpenInput] | None:
        """A straight line that meets the budget before the input ends: once, as soon as it can be drawn."""
        if self._warned or not self._fresh:
            return None
        self._fresh = False
        found = self._line()
        if found is None or found[0].at_end < self._backend.limits.budget:
            return None
        self._warned = True
        return found

    def suggest_budget(self, budget: int) -> int:
        """With how much more a held job could go on: what the line says, or half as much again; if it is there."""
        from oomguard.kernel.machine import read_headroom

        found = self._line()
        wanted = found[0].at_end * _FORECAST_MARGIN if found is not None else budget * _WITHOUT_FORECAST
        most = budget + read_headroom().available * _OF_AVAILABLE
        return max(int(min(max(wanted, budget * _FORECAST_MARGIN), most)) // MIB * MIB, budget)

    def last_forecast(self) -> tuple[Forecast, OpenInput] | None:
        """The line as it is now."""
        return self._line()

    def close(self) -> None:
        """Measure once more: a short job may have ended between two looks."""
        measure = self._backend.read_memory()
        self.peak_unreclaimable = max(self.peak_unreclaimable, measure.unreclaimable)
        self.peak_shmem = max(self.peak_shmem, measure.shmem)

    def _look_at_each(self) -> None:
        from oomguard.kernel.proc.memory import read_processes
        from oomguard.kernel.proc.open_files import read_open_inputs  # here, so that the command need not wait for them
        from oomguard.supervision.growth.forecast import ReadSample

        pids = self._backend.pids()
        self._inputs = read_open_inputs(pids)[:_MOST_INPUTS]
        unreclaimable = self._backend.read_memory().unreclaimable  # of the moment that the positions are of
        self._take_processes(read_processes(pids, exact=False))
        for opened in self._inputs:
            samples = self._read.setdefault((opened.pid, opened.path), [])
            samples.append(ReadSample(position=opened.position, unreclaimable=unreclaimable))
            if len(samples) > _MOST_SAMPLES:
                del samples[1:-1:2]  # every other one: the line keeps its length
        self._fresh = True

    def _take_processes(self, processes: list[ProcessFacts]) -> None:
        if processes:
            self.processes = processes
            self.largest_rss = max(self.largest_rss, *(process.peak_rss for process in processes))

    def _line(self) -> tuple[Forecast, OpenInput] | None:
        """Of the inputs that have a line, the largest one's."""
        from oomguard.supervision.growth.forecast import forecast_end

        for opened in self._inputs:  # largest first
            found = forecast_end(self._read.get((opened.pid, opened.path), ()), opened.size)
            if found is not None:
                return found, opened
        return None
