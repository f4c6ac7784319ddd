"""A job at its budget: it is held and read, and then ended, or released."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from oomguard.kernel.proc import ProcFiles
from oomguard.kernel.process import is_ending_by

if TYPE_CHECKING:
    from oomguard.supervision.options import OnLimit, RunEvents
    from oomguard.supervision.watched_job import WatchedJob

_LEAST_SWAP = 1 << 20  # bytes: what is left of a full swap is no room
_AFTER_KILL_SECONDS = 10.0
_TAKES_A_SIGNAL_SECONDS = 0.2


class Holding:
    """Does it as the user wants, with a job whose kernel has a hard limit, or has not."""

    def __init__(
        self,
        job: WatchedJob,
        events: RunEvents,
        *,
        on_limit: OnLimit,
        grace_seconds: float,
        swap_max: int | None,
        is_limited: bool,
    ) -> None:
        self.swap_max = swap_max  # how much of the job may be swapped out; None: any
        self._job = job
        self._events = events
        self._on_limit = on_limit
        self._grace_seconds = grace_seconds
        self._is_limited = is_limited

    def has_no_room(self, unreclaimable: int) -> bool:
        """Whether the budget is used up, and swap, if it was allowed, with it."""
        backend = self._job.backend
        return unreclaimable >= backend.limits.budget and backend.swap_left() < _LEAST_SWAP

    def hold(self, *, parked: bool) -> None:
        """At the budget: hold, look, and then what was asked for."""
        job = self._job
        job.is_held = True
        stands_still = job.backend.freeze()
        measure = job.backend.read_memory(exact=True)
        if job.has_ended() or not (parked or self.has_no_room(measure.unreclaimable)):
            job.let_go()  # by itself, or it gave some back meanwhile, or the bound was too high
            return
        # Here, so that the command need not wait for them.
        from oomguard.supervision.growth.forecast import suggest_budget
        from oomguard.supervision.snapshot import take_snapshot

        # Before it is read: to show a page that it had given back, the kernel charges it anew. It cannot use it up.
        job.backend.give_grace()
        held = take_snapshot(job.backend, job.began, job.record.samples.ledger)
        job.record.held = held
        job.record.samples.take(held)
        budget = max(job.backend.limits.budget, held.unreclaimable)
        suggested = suggest_budget(budget, job.record.samples.last_forecast())
        job.asked_to_end = False
        if self._on_limit == "hold":
            from oomguard.supervision.releasing import Releasing

            releasing = Releasing(job, self._events, self.swap_max)
            is_released = releasing.wait(held, suggested)
            self.swap_max = releasing.swap_max
            if is_released:
                return
        else:
            self._events.held(held, waits=False, suggested=suggested)
        job.record.stopped = True
        if self._on_limit != "kill" and (stands_still or self._is_limited):
            self._ask_to_end()  # else nothing keeps it from growing while it is asked
        job.backend.kill()
        job.wait_for_the_end(_AFTER_KILL_SECONDS)
        if job.exited is None and (refusal := ProcFiles().refusal()) is not None:
            raise refusal  # who it is to end could not be read: the reaper does it
        if job.exited is None:
            job.exited = signal.SIGKILL  # not even that ends a process in an uninterruptible sleep

    def _ask_to_end(self) -> None:
        """SIGTERM, with some memory for the code that ends it, and time; a second signal makes it shorter."""
        job, asked = self._job, time.monotonic()
        job.backend.signal(signal.SIGTERM)
        job.let_go()
        job.asked_to_end = False
        while job.backend.pids() and time.monotonic() < asked + self._grace_seconds and not job.asked_to_end:
            job.wait(0.02, [])
            job.record.samples.measure()
            if job.backend.is_at_the_limit():
                return  # what it was given back is used up: it would not get any further
            if time.monotonic() > asked + _TAKES_A_SIGNAL_SECONDS:
                # Who is deep in a system call, and has no code to run at its end, needs no grace.
                job.backend.signal(signal.SIGKILL, only=lambda pid: is_ending_by(pid, signal.SIGTERM))

    def was_refused(self) -> bool:
        """Whether it was seen to hold its budget, and met the hard limit, with nobody there to hold it.

        On v1 a system call is refused memory then (a write() to /dev/shm: ENOMEM), where a page fault would park.
        """
        if self._job.record.stopped or self.swap_max != 0 or not self._job.backend.met_its_limit():
            return False
        return self._job.record.samples.peak_unreclaimable >= self._job.backend.limits.budget
