"""Signals as something to wait for beside other descriptors, and with who sent them. Source: signalfd(2)."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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
