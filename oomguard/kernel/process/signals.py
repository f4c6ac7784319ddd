"""Send a signal to a process that is still the one that was meant: a pid may be another's by the time it is used."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from oomguard.formats.proc.signal_masks import only_ends_by
from oomguard.kernel.proc.files import ProcFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.proc.stat import ProcStat


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
