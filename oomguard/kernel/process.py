"""Processes: a command started and waited for, and signals: sent, waited for, taken as a request to stop."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import CannotStart
from oomguard.formats.proc import only_ends_by
from oomguard.kernel.proc import ProcFiles
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import FrameType

    from oomguard.formats.proc import ProcStat


# Run a command as if it had been started directly, and wait for it: what must follow its end then follows.

_KILLED_BY = 128


def check_can_start(command: str) -> None:
    """See that a command can be started, before anything is made for it.

    Raises: CannotStart, whose exit status is 126 or 127, as a shell has it.
    """
    if shutil.which(command) is None:
        raise CannotStart(command, errno.EACCES if Path(command).exists() else errno.ENOENT)


def wait_for_command(
    command: Sequence[str], *, inherited: Sequence[int] = (), stop_asked: Callable[[], str | None] = lambda: None
) -> int:
    """Run the command with our terminal, and give its exit code; 128 + N when signal N ended it.

    It keeps the descriptors `inherited` open. Ctrl-C reaches it from the terminal itself; SIGTERM and SIGHUP to us
    are passed on. Where `stop_asked` names a signal that came before, it is not started. For the main thread.
    Raises: CannotStart if it is no program after all.
    """
    with _signals_kept() as passing:
        if asked := stop_asked():
            return _KILLED_BY + signal.Signals[asked]
        try:
            process = subprocess.Popen(list(command), pass_fds=tuple(inherited))
        except OSError as error:
            raise CannotStart(command[0], error.errno or errno.ENOEXEC) from error
        passing.to(process)
        code = process.wait()
    return _KILLED_BY - code if code < 0 else code


class _Passing:
    """Signals on their way to a command; those that come before it is there wait for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []

    def take(self, number: int, _: FrameType | None) -> None:
        if self._process is None:
            self._waiting.append(number)
        else:
            self._process.send_signal(number)

    def to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        for number in self._waiting:
            process.send_signal(number)


@contextmanager
def _signals_kept() -> Iterator[_Passing]:
    passing = _Passing()

    def leave_to_it(_number: int, _: FrameType | None) -> None:
        """The terminal sends it to the command, too."""

    handlers = {
        signal.SIGTERM: passing.take, signal.SIGHUP: passing.take,
        signal.SIGINT: leave_to_it, signal.SIGQUIT: leave_to_it,
    }  # fmt: skip
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield passing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -P and an appended path: a file named json.py in the folder where the user works is never imported.
# What is imported stays, so that no garbage is sought in it: a tenth of the start.
_START = "import gc, sys; sys.path.append({path!r}); gc.disable(); from {module} import main; gc.enable(); main()"


def own_command(module: str, *arguments: str) -> list[str]:
    """The command that calls main() of one of our modules in a fresh interpreter."""
    code = _START.format(path=str(Path(__file__).parents[2]), module=module)
    return [sys.executable, "-P", "-c", code, *arguments]


# Send a signal to a process that is still the one that was meant: a pid may be another's by the time it is used.


def signal_if(pid: int, number: int, is_meant: Callable[[ProcStat], bool]) -> ProcStat | None:
    """Send signal `number` to `pid` if `is_meant` says so of it. Gives who took it, None if nobody did.

    The process is held by a pidfd between the look and the signal, so that both are of the same one.
    Raises: nothing: a process that is gone, or may not be signalled, takes none.
    """
    proc = ProcFiles()
    before = proc.stat(pid)
    if before is None or before.state in "ZX" or not is_meant(before):
        return None
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        after = proc.stat(pid)
        if after is None or after.start_ticks != before.start_ticks:
            return None
        signal.pidfd_send_signal(fd, number)
    except OSError:
        return None
    finally:
        os.close(fd)
    return before


def is_ending_by(pid: int, number: int) -> bool:
    """Whether `pid` has signal `number` still before it, and will do nothing with it but end. Raises: nothing.

    A signal that came while the freezer held the process does not break off a system call as it otherwise would:
    it waits for the end of the call, which may be a read() of gigabytes.
    """
    return only_ends_by(ProcFiles().read(f"{pid}/status"), number)


# Signals as something to wait for beside other descriptors, and with who sent them. Source: signalfd(2).

_SI_KERNEL = 0x80  # include/uapi/asm-generic/siginfo.h
_SIGINFO_BYTES = 128
_HEAD = struct.Struct("=IiiI")  # ssi_signo, ssi_errno, ssi_code, ssi_pid
_SIGSET_BYTES = 128  # glibc's sigset_t; musl's is as large
_SFD_CLOEXEC, _SFD_NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Arrived:
    """A signal that came."""

    number: int
    from_kernel: bool  # a key on the terminal, or its hang-up: the whole foreground group got it


class SignalFile:
    """While it is open, these signals do nothing but become readable here."""

    def __init__(self, numbers: Iterable[int]) -> None:
        """Block `numbers` and open the descriptor. Raises: OSError."""
        numbers = set(numbers)
        self.mask_before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        mask = bytearray(_SIGSET_BYTES)
        for number in numbers:
            mask[(number - 1) // 8] |= 1 << (number - 1) % 8
        libc = ctypes.CDLL(None, use_errno=True)
        given = (ctypes.c_char * _SIGSET_BYTES).from_buffer(mask)
        self.fd: int = libc.signalfd(-1, given, _SFD_CLOEXEC | _SFD_NONBLOCK)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "signalfd")

    def read(self) -> list[Arrived]:
        """What arrived since the last time. Raises: nothing."""
        try:
            got = os.read(self.fd, 32 * _SIGINFO_BYTES)
        except BlockingIOError:
            return []
        heads = (_HEAD.unpack_from(got, at) for at in range(0, len(got), _SIGINFO_BYTES))
        return [Arrived(number=number, from_kernel=code == _SI_KERNEL) for number, _, code, _ in heads]

    def close(self) -> None:
        """Let the signals do again what they did before."""
        os.close(self.fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask_before)


# Ctrl-C and SIGTERM end a run between two pieces; a second Ctrl-C ends it at once.


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], str | None]]:
    """Give a function that names the signal that asked to stop, None until one did. For the main thread."""
    asked: list[str] = []

    def handle(number: int, _: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        if len(asked) > 1 and number == signal.SIGINT:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stoppable(also: Callable[[], str | None]) -> Iterator[Callable[[], str | None]]:
    """As stop_on_signals(), joined with another such function; in any thread: only the main one sees to signals."""
    if threading.current_thread() is not threading.main_thread():
        yield also
        return
    with stop_on_signals() as asked:
        yield lambda: asked() or also()
