"""Guard a started job: look at its memory, hold it at its budget, read it, and end it or let it continue."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from oomguard.kernel.prctl import stay_awake
from oomguard.supervision.holding import Holding
from oomguard.supervision.pace import Pace
from oomguard.supervision.sampling import JobSamples, RunRecord
from oomguard.supervision.watched_job import FORWARDED_SIGNALS, WatchedJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.kernel.process import SignalFile
    from oomguard.supervision.options import OnLimit, RunEvents
    from oomguard.supervision.started_job import StartedJob


class Supervisor:
    """One supervisor for one job."""

    signals = FORWARDED_SIGNALS  # that the calling process must have blocked, and in a file

    def __init__(
        self,
        job: StartedJob,
        signals: SignalFile,
        events: RunEvents,
        *,
        began: float,
        on_limit: OnLimit = "stop",
        grace_seconds: float = 10.0,
        swap_max: int | None = 0,
        wait_seconds: float = 0.0,
        watch: Callable[[], float] | None = None,
    ) -> None:
        """Guard `job`, which began when the monotonic clock said `began`.

        When the command has ended, what it started is guarded on for `wait_seconds`. `watch` looks at the job as well,
        and gives the seconds until it wants to again.
        """
        self._backend = job.backend
        self._events = events
        self._watch = watch
        stay_awake()
        self._record = RunRecord(samples=JobSamples(job.backend, began, at_each=watch is None))
        self._job = WatchedJob(job, signals, self._record, began=began, wait_seconds=wait_seconds)
        self._pace = Pace(the_kernel_tells=job.enforcement.way == "cgroup v2")
        self._holding = Holding(
            self._job,
            events,
            on_limit=on_limit,
            grace_seconds=grace_seconds,
            swap_max=swap_max,
            is_limited=job.enforcement.hard_limit is not None,
        )

    def run(self) -> RunRecord:
        """Stay until the command has ended. Raises: what a broken machine does; the job is ended then."""
        now = look_at = watch_at = time.monotonic()
        while self._job.goes_on():
            until = look_at if self._watch is None else min(look_at, watch_at)
            woken = self._job.wait(max(0.0, until - now), self._backend.wake_on() if self._pace.is_near else [])
            now = time.monotonic()
            if woken:
                self._record.samples.glimpse()
            goes_on = self._job.goes_on()
            if goes_on and (woken or now >= look_at):
                look_at = now + self._look()
            if self._watch is not None and (now >= watch_at or not goes_on):
                watch_at = now + self._watch()  # the last time while the kernel's account of the job is still there
            now = time.monotonic()
        return self._finish()

    def _look(self) -> float:
        """Look at the job once, and do what is to be done; gives the seconds until the next time."""
        samples = self._record.samples
        at_the_limit = self._backend.is_at_the_limit()
        measure = samples.look()
        if self._job.is_blind(measure.unreclaimable):
            return self._pace.least_step
        if at_the_limit or self._holding.has_no_room(measure.unreclaimable):
            self._holding.hold(parked=at_the_limit)
        elif (warning := samples.forecast()) is not None:
            self._events.forecast(*warning)
        return self._pace.step(measure.unreclaimable, budget=self._backend.limits.budget, is_seeking=samples.is_seeking)

    def _finish(self) -> RunRecord:
        record = self._record
        record.status = self._job.exited or 0
        record.seconds = time.monotonic() - self._job.began
        record.samples.close()
        record.peak_with_cache = self._backend.peak_with_cache()
        by_sigkill = os.WIFSIGNALED(record.status) and os.WTERMSIG(record.status) == signal.SIGKILL
        record.oom_kills = self._backend.oom_kills(ended_by_sigkill=by_sigkill)
        record.refused = self._holding.was_refused()
        if record.stopped:
            self._job.terminal.restore()
        left = self._backend.pids()
        if left and not record.stopped:
            record.left_behind = len(left)
            self._backend.leave_to_the_kernel()
        return record
