"""What a supervisor has seen of its job so far: peaks, the largest process, growth; and what became of it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_status_memory
from oomguard.kernel.proc.files import ProcFiles
from oomguard.supervision.model import RunOutcome
from oomguard.supervision.rules.limits import FASTEST_BYTES_A_SECOND, PeakBound
from oomguard.units import MIB

if TYPE_CHECKING:
    from oomguard.kernel.model import OpenInput, ProcessFacts
    from oomguard.supervision.backends.base import Backend, MemoryReading
    from oomguard.supervision.growth.forecast import Forecast, ReadSample
    from oomguard.supervision.growth.ledger import GrowthLedger
    from oomguard.supervision.launch import StartedJob
    from oomguard.supervision.model import Snapshot, StoppedBy

_FIRST_SLOW_LOOK_SECONDS = 0.02
_SLOW_LOOK_SECONDS = 0.25
_SLOW_LOOK_COST_PART = 400  # looks at each process take at most this part of the time
_FIRST_SLOW_LOOK_COST_SECONDS = 0.01  # its imports: 7 ms
_SLOW_LOOK_COST_SECONDS = 0.001
_CALM_GROWTH = 1 << 16  # bytes from one look to the next
_LEDGER_FRACTION = 0.5  # of the budget: from here on it is kept where the job grows
_LEDGER_COST_SECONDS = 0.001  # of a look, at most
_LEDGER_IMPORT_SECONDS = 0.01
_MARK_SECONDS = 0.01
_RISE = 1.05  # of what the job held when its largest process was last looked for
_MOST_LOOKED_AT = 16
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
        self._proc = ProcFiles()
        self._next_slow = began + _FIRST_SLOW_LOOK_SECONDS if at_each else float("inf")
        self._looks_itself, self._began = at_each, began
        self._bound = PeakBound()
        self._next_mark = 0.0
        self._largest_at = 0  # what the job held then
        self._slow_cost_seconds = _FIRST_SLOW_LOOK_COST_SECONDS
        self._has_looked = False
        self._last_unreclaimable = 0
        self._read: dict[tuple[int, str], list[ReadSample]] = {}
        self._inputs: list[OpenInput] = []
        self._warned = False
        self._fresh = False
        self.peak_unreclaimable = 0
        self.peak_shmem = 0
        self.largest = 0  # what the largest process held of it, when it was looked at
        self.ledger: GrowthLedger | None = None
        self.processes: list[ProcessFacts] = []  # as they were at the last slow look

    def look(self) -> MemoryReading:
        """Measure the job; now and then, its processes and the files it reads as well."""
        measure = self.measure()
        now = time.monotonic()
        if self._looks_itself:
            self._find_largest(measure.unreclaimable)
            self._keep_ledger(measure.unreclaimable)
        if now >= self._next_slow and self._has_time(measure.unreclaimable, self._slow_cost_seconds):
            self._take_a_slow_look(now)
        self._last_unreclaimable = measure.unreclaimable
        return measure

    def measure(self) -> MemoryReading:
        """Measure the job, and nothing else."""
        measure = self._backend.read_memory()
        self.peak_unreclaimable = max(self.peak_unreclaimable, measure.unreclaimable)
        self.peak_shmem = max(self.peak_shmem, measure.shmem)
        now = time.monotonic()
        mark = None
        if self._looks_itself and now >= self._next_mark:  # else somebody else asks for it
            mark, self._next_mark = self._backend.take_mark(), now + _MARK_SECONDS
        self._bound.take(measure.unreclaimable, max(0, (measure.cache or 0) - measure.shmem), mark)
        return measure

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
        sizes = (parse_status_memory(self._proc.read(f"{pid}/status")).unreclaimable_bound or 0 for pid in pids)
        self.largest = max(self.largest, min(max(sizes, default=0), unreclaimable))  # shared pages count whole there

    def _take_a_slow_look(self, now: float) -> None:
        """Look at each process, and say when to do so again: by the CPU time that it took, less the first's imports."""
        cpu_before = time.process_time()
        self._look_at_each()
        cpu_seconds = time.process_time() - cpu_before if self._has_looked else 0.0
        self._slow_cost_seconds = time.monotonic() - now if self._has_looked else _SLOW_LOOK_COST_SECONDS
        self._has_looked = True
        self._next_slow = now + max(_SLOW_LOOK_SECONDS, _SLOW_LOOK_COST_PART * cpu_seconds)

    def _keep_ledger(self, unreclaimable: int) -> None:
        """From half of the budget on, see where the job grows. What that needs is loaded before, when there is time."""
        if self.ledger is None:
            if self._has_time(unreclaimable, _LEDGER_IMPORT_SECONDS):
                from oomguard.supervision.growth.ledger import GrowthLedger

                self.ledger = GrowthLedger(self._backend.limits.budget, self._began)
            return
        is_near = unreclaimable >= _LEDGER_FRACTION * self._backend.limits.budget
        if is_near and self._has_time(unreclaimable, _LEDGER_COST_SECONDS):
            self.ledger.look(self._backend.pids(), unreclaimable)

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
        """With how much more a held job could continue: what the line says, or half as much again; if it is there."""
        found = self._line()
        wanted = found[0].at_end * _FORECAST_MARGIN if found is not None else budget * _WITHOUT_FORECAST
        available = _available()
        most = budget + available * _OF_AVAILABLE if available is not None else float("inf")
        return max(int(min(max(wanted, budget * _FORECAST_MARGIN), most)) // MIB * MIB, budget)

    def last_forecast(self) -> tuple[Forecast, OpenInput] | None:
        """The line as it is now."""
        return self._line()

    def close(self) -> None:
        """Measure once more: a short job may have ended between two looks."""
        self._next_mark = 0.0
        self.measure()
        if self.ledger is not None:
            self.ledger.close()

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
            self.largest = max(
                self.largest, *(each.unreclaimable for each in processes if each.exact or len(processes) == 1), 0
            )

    def _line(self) -> tuple[Forecast, OpenInput] | None:
        """Of the inputs that have a line, the largest one's."""
        from oomguard.supervision.growth.forecast import forecast_end

        for opened in self._inputs:  # largest first
            found = forecast_end(self._read.get((opened.pid, opened.path), ()), opened.size)
            if found is not None:
                return found, opened
        return None


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


STOPPED_CODE = 137  # 128 + SIGKILL, as a shell shows a process that the kernel's OOM killer ended


def make_outcome(job: StartedJob, command: tuple[str, ...], record: RunRecord) -> RunOutcome:
    """Put together what became of `command`."""
    enforcement, samples, held = job.enforcement, record.samples, record.held
    code, stopped_by = _judge(record)
    outcome = RunOutcome(
        command=command,
        exit_code=code,
        stopped_by=stopped_by,
        enforced_by=enforcement.way,
        budget=job.backend.limits.budget,
        hard_limit=enforcement.hard_limit,
        peak_unreclaimable=samples.peak_unreclaimable,
        peak_with_cache=record.peak_with_cache,
        peak_shmem=samples.peak_shmem,
        largest_process=samples.largest or None,
        peak_at_most=samples.peak_at_most,
        wall_seconds=record.seconds,
        processes=tuple(samples.processes),
        oom_kills=record.oom_kills,
        victim=_name_victim(job.backend, record) if stopped_by == "kernel" else None,
        left_behind=record.left_behind,
        notes=tuple(enforcement.lines()),
    )
    if held is not None:
        return with_held(outcome, held, samples)
    if code == 0 or not outcome.processes:
        return outcome
    from oomguard.supervision.rules.advice import size_by_flag

    # A heap that was sized by the limit is full before the budget is met, and the program ends by itself.
    return replace(outcome, advice=tuple(size_by_flag(outcome.processes[:1], outcome.budget)))


def with_held(outcome: RunOutcome, held: Snapshot, samples: JobSamples) -> RunOutcome:
    """Add what was seen of the job while it was held, and what follows from that."""
    from oomguard.supervision.rules.advice import advise

    return replace(
        outcome,
        held_seconds=held.seconds,
        held_unreclaimable=held.unreclaimable,
        look_seconds=held.look_seconds,
        processes=held.processes,
        stacks=held.stacks,
        unread_stacks=held.unread,
        memory_maps=held.maps,
        inputs=held.inputs,
        files_in_memory=held.files_in_memory,
        grown=held.grown,
        grown_since=held.grown_since,
        advice=advise(held, samples.last_forecast(), machine_available=_available()),
    )


def _available() -> int | None:
    """What the machine has left. None: it does not say now, which is no reason to lose what a job came to."""
    from oomguard.errors import NothingFound
    from oomguard.kernel.machine import read_headroom

    try:
        return read_headroom().available
    except NothingFound:
        return None


def _judge(record: RunRecord) -> tuple[int, StoppedBy | None]:
    """The exit code, and who ended the job when it did not end by itself."""
    if record.stopped:
        return STOPPED_CODE, "budget"
    code = os.waitstatus_to_exitcode(record.status)
    code = code if code >= 0 else 128 - code
    if record.oom_kills and code != 0:
        return code, "kernel"
    if record.refused and code != 0:
        return code, "budget"  # it ended by itself, because of the budget
    return code, "signal" if code == 128 + os.WTERMSIG(record.status) and os.WIFSIGNALED(record.status) else None


def _name_victim(backend: Backend, record: RunRecord) -> str | None:
    """Whom the kernel killed, when it was faster: of the last sample's processes, the largest that is gone.

    The kernel takes the largest process, so this is right unless it grew within the last quarter of a second; the
    kernel log, where it may be read, would say it for certain. None: no sample was taken.
    """
    alive = set(backend.pids())
    gone = [process for process in record.samples.processes if process.pid not in alive]
    return f"{gone[0].name} (process {gone[0].pid})" if gone else None
