"""Small things a process asks of Linux that the standard library has no name for."""

from __future__ import annotations

import ctypes
import os
import signal
from functools import cache
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36

_PR_SET_NAME = 15

_EAGER_NICE = -10


def die_with_parent(parent_pid: int | None = None) -> None:
    """Let the kernel SIGKILL this process as soon as its parent ends, so that no worker outlives its run.

    Give `parent_pid`, taken before the fork: a parent that ended before this call sends nothing any more,
    and only then is that noticed, and this process ended at once. The "parent" is the thread that forked:
    when that thread ends, the signal comes too. A later exec of a set-uid program takes it off.
    Raises: OSError if the kernel refuses, which Linux does not do.
    """
    parent_before = os.getppid() if parent_pid is None else parent_pid
    if libc().prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), *[ctypes.c_ulong(0)] * 3) != 0:
        raise last_error()
    if os.getppid() != parent_before:
        os.kill(os.getpid(), signal.SIGKILL)


def become_subreaper() -> None:
    """Be the parent of every descendant whose own parent ends: none leaves the tree, and each must be waited for.

    Raises: OSError if the kernel refuses, which Linux does not do.
    """
    if libc().prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), *[ctypes.c_ulong(0)] * 3) != 0:
        raise last_error()


def set_name(name: str) -> None:
    """Call this process `name` in /proc/PID/comm, in ps and top; its children inherit that, until they execute."""
    libc().prctl(_PR_SET_NAME, ctypes.c_char_p(os.fsencode(name)), *[ctypes.c_ulong(0)] * 3)


def own_name() -> str:
    """What this process is called in /proc/PID/comm."""
    return Path("/proc/self/comm").read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")


def stay_awake() -> bool:
    """Let this process run before others that want the same CPU, if it may; says whether. Children inherit it.

    A supervisor that waits for a CPU behind the processes it watches sees too late what they do.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _EAGER_NICE)
    except OSError:
        return False
    return True


def set_oom_score_adj(value: int) -> bool:
    """Make the OOM killer take this process sooner (up to 1000) or later (down to -1000).

    Raising it needs no right; lowering it does, and a refusal is no reason to end a job: it says whether it
    was set. Children inherit it.
    """
    try:
        Path("/proc/self/oom_score_adj").write_text(f"{value}\n", encoding="ascii")
    except OSError:
        return False
    return True


@cache
def libc() -> ctypes.CDLL:
    """The C library, for what Python has no name for."""
    return ctypes.CDLL(None, use_errno=True)


def last_error() -> OSError:
    """What the last call of libc() failed with."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
