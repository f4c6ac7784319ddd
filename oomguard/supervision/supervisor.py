"""Guard a started job: look at its memory, hold it at its budget, read it, and end it or let it continue."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING

from oomguard.kernel.cgroup.refusals import LimitDidNotStick
from oomguard.kernel.prctl import stay_awake
from oomguard.kernel.proc import ProcFiles
from oomguard.kernel.process import is_ending_by, signal_if
from oomguard.kernel.terminal import Terminal
from oomguard.supervision.rules.limits import FASTEST_BYTES_A_SECOND
from oomguard.supervision.sampling import JobSamples, RunRecord
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.proc import ProcStat
    from oomguard.kernel.process import SignalFile
    from oomguard.supervision.control_socket import Visitor
    from oomguard.supervision.launch import StartedJob
    from oomguard.supervision.model import Snapshot
    from oomguard.supervision.options import OnLimit, RunEvents
    from oomguard.supervision.reaper import JobEvent
    from oomguard.supervision.rules.limits import JobLimits

_LONGEST_STEP_SECONDS = 0.5
_GROWING_STEP_SECONDS = 0.05  # above half of the budget, where it is kept in which line a job grows
_SEEKING_STEP_SECONDS = 0.002  # there, while it was only met asleep,
_SEEKING_LOOKS = 500  # unless so many looks saw no growth
_CALM_LOOKS = 16  # without growth, after which a job near its budget is looked at less often
_CALM_STEP_SECONDS = 0.02
_LEAST_SWAP = 1 << 20  # bytes: what is left of a full swap is no room
_AFTER_KILL_SECONDS = 10.0
_TAKES_A_SIGNAL_SECONDS = 0.2
_BLIND_SECONDS = 5.0  # without descriptors, or whatever the kernel refuses: it may be over soon
_FORWARDED = {
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGWINCH,
    signal.SIGCONT,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
}
FORWARDED_SIGNALS = frozenset(_FORWARDED)
_ENDING = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}
_STOPS_OF_A_TERMINAL = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


class Supervisor:
    """One supervisor for one job. The calling process must have the signals of FORWARDED_SIGNALS in `signals`."""

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
        self._reaper = job.reaper
        self._backend = job.backend
        self._signals = signals
        self._events = events
        self._on_limit = on_limit
        self._grace_seconds = grace_seconds
        self._swap_max = swap_max
        self._watch = watch
        self._wait_seconds = wait_seconds
        self._exited_at = 0.0
        self._began = began
        stay_awake()
        self._terminal = Terminal()
        self._exited: int | None = None
        self._asked_to_end = False
        self._is_limited = job.enforcement.hard_limit is not None
        self._least_step = 0.002 if job.enforcement.way != "cgroup v2" else 0.01
        self._last_unreclaimable = 0
        self._calm_looks = 0
        self._is_near = True
        self._blind_since: float | None = None
        self._is_held = False
        self._waits_for_release = False
        self._record = RunRecord(samples=JobSamples(job.backend, self._began, at_each=watch is None))

    def run(self) -> RunRecord:
        """Stay until the command has ended. Raises: what a broken machine does; the job is ended then."""
        now = look_at = watch_at = time.monotonic()
        while self._goes_on():
            until = look_at if self._watch is None else min(look_at, watch_at)
            woken = self._wait(max(0.0, until - now), self._backend.wake_on() if self._is_near else [])
            now = time.monotonic()
            if woken:
                self._record.samples.glimpse()
            goes_on = self._goes_on()
            if goes_on and (woken or now >= look_at):
                look_at = now + self._look()
            if self._watch is not None and (now >= watch_at or not goes_on):
                watch_at = now + self._watch()  # the last time while the kernel's account of the job is still there
            now = time.monotonic()
        return self._finish()

    def _goes_on(self) -> bool:
        """Whether the command runs, or, for as long as that is waited for, something that it started."""
        if self._exited is None:
            return True
        if not self._wait_seconds or self._record.stopped or self._asked_to_end:
            return False
        return time.monotonic() < self._exited_at + self._wait_seconds and bool(self._backend.pids())

    def _look(self) -> float:
        """Look at the job once, and do what is to be done; gives the seconds until the next time."""
        samples = self._record.samples
        at_the_limit = self._backend.is_at_the_limit()
        measure = samples.look()
        if self._is_blind(measure.unreclaimable):
            return self._least_step
        if at_the_limit or self._has_no_room(measure.unreclaimable):
            self._hold(parked=at_the_limit)
        elif (warning := samples.forecast()) is not None:
            self._events.forecast(*warning)
        return self._step(measure.unreclaimable)

    def _is_blind(self, unreclaimable: int) -> bool:
        """Whether that it holds nothing only means that nothing can be read. Raises: OSError when that lasts."""
        refusal = ProcFiles().refusal() if unreclaimable == 0 else None
        if refusal is None:
            self._blind_since = None
            return False
        self._blind_since = self._blind_since or time.monotonic()
        if time.monotonic() > self._blind_since + _BLIND_SECONDS:
            raise refusal  # v1 has parked it at its limit, where nobody would ever find it; polling would let it grow
        return True

    def _has_no_room(self, unreclaimable: int) -> bool:
        """Whether the budget is used up, and swap, if it was allowed, with it."""
        return unreclaimable >= self._backend.limits.budget and self._backend.swap_left() < _LEAST_SWAP

    def _step(self, unreclaimable: int) -> float:
        """How long memory cannot reach the budget. Near it, and calm: a little longer, as the kernel stands behind."""
        grown = abs(unreclaimable - self._last_unreclaimable) > 1 << 16
        self._last_unreclaimable = unreclaimable
        self._calm_looks = 0 if grown else self._calm_looks + 1
        headroom = self._backend.limits.budget - unreclaimable
        # v2 tells of every reclaim at memory.high, also while only page cache is there to reclaim.
        self._is_near = headroom < self._backend.limits.budget // 2
        least = _CALM_STEP_SECONDS if self._calm_looks > _CALM_LOOKS else self._least_step
        if unreclaimable == 0:
            return least  # nothing that runs holds nothing: it could not be read this time
        longest = _GROWING_STEP_SECONDS if grown and self._is_near else _LONGEST_STEP_SECONDS
        if self._is_near and self._calm_looks < _SEEKING_LOOKS and self._record.samples.is_seeking:
            return _SEEKING_STEP_SECONDS
        return min(max(headroom / FASTEST_BYTES_A_SECOND, least), longest)

    def _wait(self, seconds: float, also: list[tuple[int, int]]) -> set[int]:
        """Wait, and do what signals and the reaper ask for; gives the other descriptors that are ready."""
        poll = select.poll()
        for fd, kinds in [(self._reaper.status_fd, select.POLLIN), (self._signals.fd, select.POLLIN), *also]:
            poll.register(fd, kinds)
        ready = {fd for fd, _ in poll.poll(seconds * 1000)}
        self._reaper.keep_going()
        if self._signals.fd in ready:
            self._pass_signals_on()
        if self._reaper.status_fd in ready:
            for event in self._reaper.events():
                self._follow(event)
        return ready - {self._signals.fd, self._reaper.status_fd}

    def _pass_signals_on(self) -> None:
        for arrived in self._signals.read():
            if self._waits_for_release and arrived.number in (signal.SIGHUP, signal.SIGCONT):
                # Hours of work do not go with a terminal. The kernel continues a group whose shell has gone: only its
                # processes that were stopped by signals, which then are stopped again.
                self._backend.freeze()
                continue
            if arrived.number in _ENDING:
                self._asked_to_end = True
            # What the terminal sends, it sends to the job as well: both are in one group. Its hang-up alone goes to the
            # leader of the session only, which without a supervisor would be the command.
            is_ours_alone = arrived.number == signal.SIGHUP and os.getsid(0) == os.getpid()
            is_theirs_too = arrived.from_kernel and not is_ours_alone
            if not is_theirs_too and not (self._is_held and arrived.number == signal.SIGCONT):
                self._signal_the_command(arrived.number)
                if arrived.number in _ENDING and not self._is_held:
                    # As a shell's kill does: a stopped command would never hear of it.
                    self._signal_the_command(signal.SIGCONT, in_states="T")

    def _signal_the_command(self, number: int, *, in_states: str = "") -> None:
        def is_meant(stat: ProcStat) -> bool:
            return stat.parent_pid == self._reaper.pid and (not in_states or stat.state in in_states)

        signal_if(self._reaper.job_pid, number, is_meant)

    def _follow(self, event: JobEvent) -> None:
        if event.kind == "exited":
            self._exited, self._exited_at = event.status, time.monotonic()
        elif event.kind == "gone":
            self._reaper.bury()  # first: until it is gone for good, its children are nowhere for a moment
            self._backend.take_over()
            self._backend.kill()
            self._exited = self._exited if self._exited is not None else signal.SIGKILL
            self._wait_seconds = 0.0
        elif (
            event.kind == "stopped"
            and (event.status in _STOPS_OF_A_TERMINAL or self._terminal.is_ours())
            and self._is_stopped_by_others()
        ):
            self._stop_with_the_job()

    def _is_stopped_by_others(self) -> bool:
        """Without a cgroup a job is held by a stop as well, and is told of late: it may have been let go by then."""
        stat = ProcFiles().stat(self._reaper.job_pid)
        return not self._is_held and stat is not None and stat.state == "T"

    def _stop_with_the_job(self) -> None:
        """A shell waits for the supervisor, and must see it stop when the job stops; fg then continues both."""
        if not self._terminal.somebody_continues_us():
            self._signal_the_command(signal.SIGCONT)  # as the kernel does for a group that nobody waits for
            return
        os.kill(os.getpid(), signal.SIGSTOP)
        self._signal_the_command(signal.SIGCONT)

    def _hold(self, *, parked: bool) -> None:
        """At the budget: hold, look, and then what was asked for."""
        self._is_held = True
        stands_still = self._backend.freeze()
        measure = self._backend.read_memory(exact=True)
        if self._has_ended() or not (parked or self._has_no_room(measure.unreclaimable)):
            self._let_go()  # by itself, or it gave some back meanwhile, or the bound was too high
            return
        from oomguard.supervision.growth.forecast import (
            suggest_budget,  # here, so that the command need not wait for it
        )
        from oomguard.supervision.snapshot import take_snapshot

        # Before it is read: to show a page that it had given back, the kernel charges it anew. It cannot use it up.
        self._backend.give_grace()
        held = take_snapshot(self._backend, self._began, self._record.samples.ledger)
        self._record.held = held
        self._record.samples.take(held)
        budget = max(self._backend.limits.budget, held.unreclaimable)
        suggested = suggest_budget(budget, self._record.samples.last_forecast())
        self._asked_to_end = False
        if self._on_limit == "hold":
            if self._wait_for_release(held, suggested):
                return
        else:
            self._events.held(held, waits=False, suggested=suggested)
        self._record.stopped = True
        if self._on_limit != "kill" and (stands_still or self._is_limited):
            self._ask_to_end()  # else nothing keeps it from growing while it is asked
        self._backend.kill()
        self._wait_for_the_end(_AFTER_KILL_SECONDS)
        if self._exited is None and (refusal := ProcFiles().refusal()) is not None:
            raise refusal  # who it is to end could not be read: the reaper does it
        if self._exited is None:
            self._exited = signal.SIGKILL  # not even that ends a process in an uninterruptible sleep

    def _has_ended(self) -> bool:
        """Whether no process is left, of which the reaper has not told yet; files in memory may remain, and count."""
        if self._backend.pids():
            return False
        proc, pid = ProcFiles(), self._reaper.job_pid
        stat = proc.stat(pid)
        return stat.state in "ZX" if stat is not None else not proc.exists(pid)

    def _let_go(self) -> None:
        self._is_held = False
        self._backend.thaw()

    def _ask_to_end(self) -> None:
        """SIGTERM, with some memory for the code that ends it, and time; a second signal makes it shorter."""
        self._backend.signal(signal.SIGTERM)
        self._let_go()
        asked = time.monotonic()
        self._asked_to_end = False
        while self._backend.pids() and time.monotonic() < asked + self._grace_seconds and not self._asked_to_end:
            self._wait(0.02, [])
            self._record.samples.measure()
            if self._backend.is_at_the_limit():
                return  # what it was given back is used up: it would not get any further
            if time.monotonic() > asked + _TAKES_A_SIGNAL_SECONDS:
                # Who is deep in a system call, and has no code to run at its end, needs no grace.
                self._backend.signal(signal.SIGKILL, only=lambda pid: is_ending_by(pid, signal.SIGTERM))

    def _wait_for_release(self, held: Snapshot, suggested: int) -> bool:
        """Stay frozen until somebody says what is to become of the job. True: it continues."""
        self._waits_for_release = True
        try:
            return self._is_released(held, suggested)
        finally:
            self._waits_for_release = False

    def _is_released(self, held: Snapshot, suggested: int) -> bool:
        from oomguard.supervision.control_socket import ControlSocket

        with ControlSocket() as control, self._terminal.keys() as keys:
            self._events.held(held, waits=True, suggested=suggested)  # whoever reads it may ask at once
            while not self._asked_to_end and self._goes_on():
                ready = self._wait(60.0, [*control.wake_on(), *keys.wake_on()])
                key = keys.read() if ready else ""
                if key == "s":
                    return False
                visitor = control.receive() if ready else None
                if visitor is None and key != "r":
                    continue
                if visitor is not None and visitor.request.stop:
                    visitor.answer(ok=True, text="the job is ended")
                    return False
                if self._release(visitor, suggested):
                    return True
        return False

    def _release(self, visitor: Visitor | None, suggested: int) -> bool:
        """Let it continue with what was asked for, or, by a key, what was `suggested`. False: it holds too much."""
        request = visitor.request if visitor is not None else None
        swap_max = request.swap_max if request is not None and request.opens_swap else self._swap_max
        budget = request.max_rss if request is not None and request.max_rss else suggested
        limits = self._backend.plan_budget(budget)
        refusal = self._refusal(limits)
        if refusal is None:
            try:
                self._backend.set_budget(limits, swap_max=swap_max)
            except (OSError, LimitDidNotStick) as error:
                refusal = f"the kernel did not accept the new budget: {error}"
        if refusal is not None:
            self._events.stays_held(refusal)
            if visitor is not None:
                visitor.answer(ok=False, text=refusal, budget=limits.budget)
            return False
        self._swap_max = swap_max
        self._record.held = None
        self._events.released(limits.budget)
        if visitor is not None:
            visitor.answer(ok=True, text="; ".join(["the job continues", *limits.notes]), budget=limits.budget)
        self._let_go()
        return True

    def _refusal(self, limits: JobLimits) -> str | None:
        """Why it could not continue under these limits. Asked before the kernel is: v2 would kill it, v1 says EBUSY."""
        held = self._backend.read_memory(exact=True).unreclaimable
        if held < limits.budget:
            return None
        return f"it holds {format_size(held)} already, which is not less than {format_size(limits.budget)}"

    def _was_refused(self) -> bool:
        """Whether it was seen to hold its budget, and met the hard limit, with nobody there to hold it.

        On v1 a system call is refused memory then (a write() to /dev/shm: ENOMEM), where a page fault would park.
        """
        if self._record.stopped or self._swap_max != 0 or not self._backend.met_its_limit():
            return False
        return self._record.samples.peak_unreclaimable >= self._backend.limits.budget

    def _wait_for_the_end(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._exited is None and time.monotonic() < until:
            self._wait(0.05, [])

    def _finish(self) -> RunRecord:
        record = self._record
        record.status = self._exited or 0
        record.seconds = time.monotonic() - self._began
        record.samples.close()
        record.peak_with_cache = self._backend.peak_with_cache()
        by_sigkill = os.WIFSIGNALED(record.status) and os.WTERMSIG(record.status) == signal.SIGKILL
        record.oom_kills = self._backend.oom_kills(ended_by_sigkill=by_sigkill)
        record.refused = self._was_refused()
        if record.stopped:
            self._terminal.restore()
        left = self._backend.pids()
        if left and not record.stopped:
            record.left_behind = len(left)
            self._backend.leave_to_the_kernel()
        return record
