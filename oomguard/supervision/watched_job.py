"""A job as its supervisor hears it: signals are passed on, its end is noticed, it is let go where it was held."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING

from oomguard.kernel.proc import ProcFiles
from oomguard.kernel.process import signal_if
from oomguard.kernel.terminal import Terminal

if TYPE_CHECKING:
    from oomguard.formats.proc import ProcStat
    from oomguard.kernel.process import SignalFile
    from oomguard.supervision.reaper import JobEvent
    from oomguard.supervision.sampling import RunRecord
    from oomguard.supervision.started_job import StartedJob

FORWARDED_SIGNALS = frozenset(
    {
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
)
_ENDING = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}
_STOPS_OF_A_TERMINAL = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_BLIND_SECONDS = 5.0  # without descriptors, or whatever the kernel refuses: it may be over soon


class WatchedJob:
    """A job that has begun, and what has become of it until now."""

    def __init__(
        self, job: StartedJob, signals: SignalFile, record: RunRecord, *, began: float, wait_seconds: float
    ) -> None:
        """It began when the monotonic clock said `began`; `signals` has those of FORWARDED_SIGNALS.

        When the command has ended, what it started is waited for as long as `wait_seconds`.
        """
        self.reaper = job.reaper
        self.backend = job.backend
        self.record = record
        self.began = began
        self.terminal = Terminal()
        self.exited: int | None = None  # the status of the command
        self.exited_at = 0.0
        self.asked_to_end = False  # by a signal
        self.is_held = False
        self.waits_for_release = False
        self._signals = signals
        self._blind_since: float | None = None
        self._wait_seconds = wait_seconds

    def goes_on(self) -> bool:
        """Whether the command runs, or, for as long as that is waited for, something that it started."""
        if self.exited is None:
            return True
        if not self._wait_seconds or self.record.stopped or self.asked_to_end:
            return False
        return time.monotonic() < self.exited_at + self._wait_seconds and bool(self.backend.pids())

    def is_blind(self, unreclaimable: int) -> bool:
        """Whether that it holds nothing only means that nothing can be read. Raises: OSError when that lasts."""
        refusal = ProcFiles().refusal() if unreclaimable == 0 else None
        if refusal is None:
            self._blind_since = None
            return False
        self._blind_since = self._blind_since or time.monotonic()
        if time.monotonic() > self._blind_since + _BLIND_SECONDS:
            raise refusal  # v1 has parked it at its limit, where nobody would ever find it; polling would let it grow
        return True

    def wait(self, seconds: float, also: list[tuple[int, int]]) -> set[int]:
        """Wait, and do what signals and the reaper ask for; gives the other descriptors that are ready."""
        poll = select.poll()
        for fd, kinds in [(self.reaper.status_fd, select.POLLIN), (self._signals.fd, select.POLLIN), *also]:
            poll.register(fd, kinds)
        ready = {fd for fd, _ in poll.poll(seconds * 1000)}
        self.reaper.keep_going()
        if self._signals.fd in ready:
            self._pass_signals_on()
        if self.reaper.status_fd in ready:
            for event in self.reaper.events():
                self._follow(event)
        return ready - {self._signals.fd, self.reaper.status_fd}

    def _pass_signals_on(self) -> None:
        for arrived in self._signals.read():
            if self.waits_for_release and arrived.number in (signal.SIGHUP, signal.SIGCONT):
                # Hours of work do not go with a terminal. The kernel continues a group whose shell has gone: only its
                # processes that were stopped by signals, which then are stopped again.
                self.backend.freeze()
                continue
            if arrived.number in _ENDING:
                self.asked_to_end = True
            # What the terminal sends, it sends to the job as well: both are in one group. Its hang-up alone goes to the
            # leader of the session only, which without a supervisor would be the command.
            is_ours_alone = arrived.number == signal.SIGHUP and os.getsid(0) == os.getpid()
            is_theirs_too = arrived.from_kernel and not is_ours_alone
            if not is_theirs_too and not (self.is_held and arrived.number == signal.SIGCONT):
                self._signal_the_command(arrived.number)
                if arrived.number in _ENDING and not self.is_held:
                    # As a shell's kill does: a stopped command would never hear of it.
                    self._signal_the_command(signal.SIGCONT, in_states="T")

    def _signal_the_command(self, number: int, *, in_states: str = "") -> None:
        def is_meant(stat: ProcStat) -> bool:
            return stat.parent_pid == self.reaper.pid and (not in_states or stat.state in in_states)

        signal_if(self.reaper.job_pid, number, is_meant)

    def _follow(self, event: JobEvent) -> None:
        if event.kind == "exited":
            self.exited, self.exited_at = event.status, time.monotonic()
        elif event.kind == "gone":
            self.reaper.bury()  # first: until it is gone for good, its children are nowhere for a moment
            self.backend.take_over()
            self.backend.kill()
            self.exited = self.exited if self.exited is not None else signal.SIGKILL
            self._wait_seconds = 0.0
        elif (
            event.kind == "stopped"
            and (event.status in _STOPS_OF_A_TERMINAL or self.terminal.is_ours())
            and self._is_stopped_by_others()
        ):
            self._stop_with_the_job()

    def _is_stopped_by_others(self) -> bool:
        """Without a cgroup a job is held by a stop as well, and is told of late: it may have been let go by then."""
        stat = ProcFiles().stat(self.reaper.job_pid)
        return not self.is_held and stat is not None and stat.state == "T"

    def _stop_with_the_job(self) -> None:
        """A shell waits for the supervisor, and must see it stop when the job stops; fg then continues both."""
        if not self.terminal.somebody_continues_us():
            self._signal_the_command(signal.SIGCONT)  # as the kernel does for a group that nobody waits for
            return
        os.kill(os.getpid(), signal.SIGSTOP)
        self._signal_the_command(signal.SIGCONT)

    def has_ended(self) -> bool:
        """Whether no process is left, of which the reaper has not told yet; files in memory may remain, and count."""
        if self.backend.pids():
            return False
        proc, pid = ProcFiles(), self.reaper.job_pid
        stat = proc.stat(pid)
        return stat.state in "ZX" if stat is not None else not proc.exists(pid)

    def let_go(self) -> None:
        """Let its processes run."""
        self.is_held = False
        self.backend.thaw()

    def wait_for_the_end(self, seconds: float) -> None:
        """Until the command has ended, or so long."""
        until = time.monotonic() + seconds
        while self.exited is None and time.monotonic() < until:
            self.wait(0.05, [])
