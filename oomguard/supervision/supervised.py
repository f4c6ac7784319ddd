"""Whether a supervisor above holds this process already, as `profile prepare` does."""

from __future__ import annotations

import os

from oomguard.kernel.proc.files import ProcFiles

_VARIABLE = "OOMGUARD_SUPERVISOR"
_GENERATIONS = 16


def mark_supervised() -> None:
    """Let the jobs of ours that this process starts know that it supervises them, without a budget of their own."""
    os.environ[_VARIABLE] = str(os.getpid())


def is_supervised() -> bool:
    """Whether a supervisor above said that it holds this job: then the job needs none of its own."""
    text = os.environ.pop(_VARIABLE, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 11):
        return False
    proc, pid = ProcFiles(), os.getpid()
    for _ in range(_GENERATIONS):
        stat = proc.stat(pid)
        if stat is None or stat.parent_pid <= 1:
            return False
        pid = stat.parent_pid
        if pid == int(text):
            return True
    return False
