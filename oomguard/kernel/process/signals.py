"""Signals: sent to the process that is meant, waited for beside descriptors, and taken as a request to stop."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oomguard.formats.proc import only_ends_by
from oomguard.kernel.proc.files import ProcFiles
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from oomguard.formats.proc import ProcStat


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
