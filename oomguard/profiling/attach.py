"""`oomguard profile --pid`: record a process that runs already, until it ends or Ctrl-C detaches from it."""

from __future__ import annotations

import os
import select
import signal
import time

from oomguard.errors import NeedsPrivilege, NothingFound
from oomguard.kernel.proc import ProcessTree, ProcFiles
from oomguard.profiling.options import Profiled, ProfileEvents, ProfileOptions, new_head, profile_of, recording_path
from oomguard.profiling.watch import JobWatch
from oomguard.text import as_root


def profile_process(pid: int, options: ProfileOptions, events: ProfileEvents) -> Profiled:
    """Record what runs already, and what it starts, until it ends or Ctrl-C detaches from it.

    Raises: NothingFound if there is no such process; NeedsPrivilege if its memory may not be read.
    """
    proc = ProcFiles()
    if (refusal := proc.refusal()) is not None:
        raise refusal
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, OverflowError) as error:
        raise NothingFound(f"there is no process {pid}", do="pgrep -af python") from error
    with os.fdopen(pidfd):
        if not proc.read(f"{pid}/smaps_rollup") and proc.read("self/smaps_rollup"):  # else no process has one here
            raise NeedsPrivilege(
                f"the memory of process {pid} may not be read: it is the kernel's, or another user's",
                do=as_root(f"profile --pid {pid}"),
            )
        path = recording_path(options, (f"pid-{pid}",))
        head = new_head(proc.command(pid))
        watched = JobWatch(
            head,
            path,
            pids=ProcessTree(pid).pids,
            clock=None,
            stages=None,
            began=time.monotonic(),
            from_start=False,
        )
        events.begins(path, head.tier)
        ended = _sample_until_the_end(watched, pidfd)
        watched.end(None, stopped="" if ended else "detached")
    return profile_of(watched.events(), path, 0)


def _sample_until_the_end(watched: JobWatch, pidfd: int) -> bool:
    """True: the process ended. False: Ctrl-C was pressed, or SIGTERM sent."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not poll.poll(1000 * watched.look()):
            pass
    except KeyboardInterrupt:
        return False
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return True
