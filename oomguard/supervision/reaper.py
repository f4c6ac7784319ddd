"""The process between the supervisor and its job: it outlives the supervisor, until nothing of the job is left.

    supervisor ── reaper ── the command ── ...

The reaper is the subreaper of all that the command starts: a process that leaves by a double fork stays below it. It
does nothing but wait. When the supervisor ends without a word (SIGKILL, the OOM killer), the pipe between them
closes, and the reaper ends the job, frozen or not, and removes its cgroup. It is in a process group of its own, so
that what is sent to the supervisor's group does not reach it; the command is in the supervisor's group, so that a
terminal's keys, and a shell's job control, reach the command as if there were no supervisor.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import select
import signal
import struct
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.prctl import become_subreaper, die_with_parent, own_name, set_name
from oomguard.kernel.proc import ProcessTree
from oomguard.kernel.process import SignalFile, signal_if
from oomguard.records import dataclass
from oomguard.supervision.orphans import mark_job

# Another than the supervisor's, so that one `killall oomguard` does not take both: the kernel keeps 15 bytes.
REAPER_NAME = "oomguard-reaper"
Program = Sequence[str] | Callable[[str], int]
_ERRNO = struct.Struct("=i")
_END_SECONDS = 20.0
_SOON_SECONDS = 0.5
_LINGER_STEP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What the reaper saw of the command."""

    kind: str  # "stopped", "continued", "exited", "gone" (the reaper itself)
    status: int  # the signal that stopped it; as waitpid() gives it for "exited"


@dataclass(kw_only=True)
class Reaper:
    """The supervisor's side."""

    pid: int
    job_pid: int
    status_fd: int  # readable: ask events()
    _control_fd: int
    _gate_fd: int
    _exec_fd: int
    _buffer: bytes = b""
    _is_buried: bool = False

    def start(self, told: str = "go") -> int:
        """Let the job begin. Gives 0, or the errno with which it could not be executed. Raises: nothing.

        A job that is a function is `told` this; it must fit into a pipe.
        """
        try:
            os.write(self._gate_fd, told.encode())
        except BrokenPipeError:
            return errno.ESRCH  # it was killed while it waited
        os.close(self._gate_fd)
        got = _read_from(self._exec_fd, _ERRNO.size, (self.pid, self.job_pid))  # closes when exec succeeds
        os.close(self._exec_fd)
        number: int = _ERRNO.unpack(got)[0] if len(got) == _ERRNO.size else 0
        return number

    def events(self) -> list[JobEvent]:
        """What happened since the last time."""
        got = os.read(self.status_fd, 4096)
        if not got:
            return [JobEvent("gone", 0)]
        *lines, self._buffer = (self._buffer + got).split(b"\n")
        return [JobEvent(kind, int(status)) for kind, status in (line.decode().split() for line in lines)]

    def finish(self) -> None:
        """The job is over: let the reaper end, and wait for it. Raises: nothing."""
        self._say(b"done\n")
        self.bury()

    def keep_going(self) -> None:
        """Continue it where somebody stopped it: it would tell of nothing any more. Raises: nothing."""
        if not self._is_buried:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                os.kill(self.pid, signal.SIGCONT)
            elif pid:
                self._is_buried = True

    def bury(self) -> None:
        """Wait for its end. From then on what it kept is the supervisor's own children. Raises: nothing."""
        while not self._is_buried:
            _, status = os.waitpid(self.pid, os.WUNTRACED)
            if os.WIFSTOPPED(status):
                os.kill(self.pid, signal.SIGCONT)
            else:
                self._is_buried = True
        self._is_buried = True

    def linger(self, kind: str, budget: int, cgroup: pathlib.Path | None, report: str | None = None) -> None:
        """The command is over, and some of what it started continues: let the reaper see to that alone."""
        facts = {"kind": kind, "budget": budget, "cgroup": str(cgroup or ""), "report": report}
        self._say(f"{json.dumps(facts)}\n".encode())

    def abort(self) -> None:
        """End the job before it began, or after a failure. Raises: nothing."""
        os.close(self._control_fd)  # as if the supervisor had died
        self._control_fd = -1
        self.bury()

    def _say(self, message: bytes) -> None:
        try:
            os.write(self._control_fd, message)
        except BrokenPipeError:
            return


def _read_from(fd: int, size: int, writers: tuple[int, ...]) -> bytes:
    """Read what others are to write at once. Somebody may have stopped them: then they are continued."""
    while not select.select([fd], [], [], _SOON_SECONDS)[0]:
        for pid in writers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    return os.read(fd, size)


def start_reaper(program: Program, *, clean_up: Callable[[], None], mask: set[int]) -> Reaper:
    """Fork the reaper, and it the job, which waits until Reaper.start().

    `program` is a command to execute, or a function of ours that gives the exit status. `clean_up` removes the job's
    cgroup; `mask` is the signal mask that the job gets. Single-threaded callers only.
    Raises: OSError if there is no process to be had.
    """
    status, control, gate, executed = (os.pipe() for _ in range(4))
    group = os.getpgrp()
    pid = os.fork()
    if pid == 0:
        for fd in (status[0], control[1], gate[1], executed[0]):
            os.close(fd)
        _keep(program, status[1], control[0], gate[0], executed[1], group, mask, clean_up)
    for fd in (status[1], control[0], gate[0], executed[1]):
        os.close(fd)
    first = b""
    while not first.endswith(b"\n"):
        got = _read_from(status[0], 1, (pid,))
        if not got:
            for fd in (status[0], control[1], gate[1], executed[0]):  # a command at its gate ends by that
                os.close(fd)
            os.waitpid(pid, 0)
            raise OSError(errno.EAGAIN, "the reaper could not fork, or was killed")
        first += got
    return Reaper(
        pid=pid,
        job_pid=int(first.split()[1]),
        status_fd=status[0],
        _control_fd=control[1],
        _gate_fd=gate[1],
        _exec_fd=executed[0],
    )


def _keep(
    program: Program,
    status_fd: int,
    control_fd: int,
    gate_fd: int,
    exec_fd: int,
    group: int,
    mask: set[int],
    clean_up: Callable[[], None],
) -> NoReturn:
    """The reaper's life. Never returns."""
    try:
        os.setpgid(0, 0)
        name, supervisor_pid = own_name(), os.getppid()
        set_name(REAPER_NAME)
        become_subreaper()
        reaper_pid = os.getpid()
        everything = set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
        signals = SignalFile(everything)
        job_pid = os.fork()
        if job_pid == 0:
            for fd in (status_fd, control_fd):  # the supervisor must see it at once if the reaper is killed
                os.close(fd)
            _become_the_job(program, (gate_fd, exec_fd, signals.fd), group, mask, (supervisor_pid, reaper_pid), name)
        for fd in (gate_fd, exec_fd):
            os.close(fd)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):  # whoever reads the job's output must not wait for the reaper
            os.dup2(nowhere, standard)
        os.write(status_fd, f"forked {job_pid}\n".encode())
        if _wait(job_pid, status_fd, control_fd, signals):
            clean_up()
    finally:
        os._exit(0)


def _become_the_job(
    program: Program, fds: tuple[int, int, int], group: int, mask: set[int], pids: tuple[int, int], name: str
) -> NoReturn:
    gate_fd, exec_fd, _ = fds
    supervisor_pid, reaper_pid = pids
    try:
        mark_job(supervisor_pid, reaper_pid)
        die_with_parent(reaper_pid)  # should both be killed, supervisor and reaper: nobody would thaw it, or hold it
        os.setpgid(0, group)
        if told := _read_all(gate_fd):
            if callable(program):
                for fd in fds:
                    os.close(fd)
                set_name(name)
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                os._exit(program(told))
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and that would be inherited
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _execute(program)
    except OSError as error:
        os.write(exec_fd, _ERRNO.pack(error.errno or errno.EIO))
    finally:
        os._exit(125)


def _read_all(fd: int) -> str:
    got = b""
    while piece := os.read(fd, 1 << 16):
        got += piece
    return got.decode()


def _execute(command: Sequence[str]) -> None:
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - the user's own command
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without a first line that names its interpreter: as a shell, and execvp(3), do.
        os.execv("/bin/sh", ["/bin/sh", *command])  # noqa: S606 - the user's own command


def _wait(job_pid: int, status_fd: int, control_fd: int, signals: SignalFile) -> bool:
    """Tell the supervisor what happens, until there is nothing to keep. Says whether the supervisor is gone by then."""
    poll = select.poll()
    poll.register(control_fd, select.POLLIN)
    poll.register(signals.fd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if signals.fd in ready:
            signals.read()
            _report_changes(job_pid, status_fd)
        if control_fd in ready:
            message = os.read(control_fd, 1 << 16).decode()
            if message == "done\n":
                return False
            if message:
                _linger(**json.loads(message), signals=signals)
            else:
                _end_all()
            return True


def _report_changes(job_pid: int, status_fd: int) -> None:
    for pid, status in _changed_children():
        if pid != job_pid:
            continue
        if os.WIFSTOPPED(status):
            told = f"stopped {os.WSTOPSIG(status)}"
        elif os.WIFCONTINUED(status):
            told = "continued 0"
        else:
            told = f"exited {status}"
        try:
            os.write(status_fd, f"{told}\n".encode())
        except BrokenPipeError:
            return


def _changed_children() -> list[tuple[int, int]]:
    changed: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            return changed
        if pid == 0:
            return changed
        changed.append((pid, status))


def _end_all() -> None:
    """SIGKILL every descendant until none is left: it ends the frozen, the stopped and the parked too."""
    tree = ProcessTree(os.getpid(), with_root=False)
    until = time.monotonic() + _END_SECONDS
    while time.monotonic() < until:
        members = {os.getpid(), *tree.pids()}
        if len(members) == 1:
            return
        for pid in members - {os.getpid()}:
            signal_if(pid, signal.SIGKILL, lambda stat, among=members: stat.parent_pid in among)  # type: ignore[misc]  # mypy: a lambda's default
        _changed_children()
        time.sleep(0.002)


def _linger(kind: str, budget: int, cgroup: str, report: str | None, *, signals: SignalFile) -> None:
    """The command ended, and what it left in the background continues: under the same budget, until it ends."""
    from oomguard.supervision.kernel_kills import LaterKills

    kills = LaterKills(kind, cgroup)
    polling = None
    if kind == "polling":
        from oomguard.supervision.backends.polling import PollingBackend

        polling = PollingBackend(budget, [])
        polling.watch_below(os.getpid())
    tree = ProcessTree(os.getpid(), with_root=False)
    while pids := tree.pids():
        select.select([signals.fd], [], [], _LINGER_STEP_SECONDS)
        signals.read()
        _changed_children()
        if polling is not None and polling.read_memory().unreclaimable >= polling.limits.budget:
            kills.ended += len(pids)
            _end_all()
    kills.count()
    if cgroup:
        cgroup_files.remove_when_empty(pathlib.Path(cgroup))
    if report is not None:
        kills.add_to(pathlib.Path(report))
