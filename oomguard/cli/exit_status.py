"""How a command ends: an error is two lines, what and what to do, and an exit status."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oomguard.cli.console import coloured, tell, wants_colour
from oomguard.errors import CannotStart, OomguardError, Stopped
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_FAILED = 1


def status_of(function: Callable[[], None]) -> int:
    """Call it, print its error, and give the exit status: 1 for what failed, 128 and the signal that stopped it."""
    try:
        function()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else _FAILED if end.code else 0
    except OomguardError as error:
        label = "stopped" if isinstance(error, Stopped) else "error"
        tell_failure(label, str(error), error.do)
        return error.exit_status
    except KeyboardInterrupt:
        tell("stopped\n")
        return Stopped.exit_status
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            raise
        if error.errno != errno.EPIPE:  # `oomguard ... | head`: what nobody reads is not an error
            tell_failure("error", f"could not write to standard output: {error.strerror}", "df -h")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain again when it exits
        return _FAILED
    return 0


def status_of_job(function: Callable[[], None]) -> int:
    """The same, in a forked process, where nothing may go back to the caller."""
    try:
        status = status_of(function)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - a bug, which shows where
        tell(traceback.format_exc())
        return _FAILED
    return status


def tell_failure(label: str, what: str, do: str) -> None:
    """Print two lines: what, and what to do. Both may quote what somebody gave; a terminal must not obey it."""
    text = f"{label}: {printable(what)}\n  try: {printable(do)}\n"
    tell(coloured(text) if wants_colour(sys.stderr) else text)


# Beside a command, 1 may be its own status: whatever fails in oomguard ends with 125.

OWN_FAILURE = 125
_HELP = {
    errno.EAGAIN: "allow more processes (ulimit -u; pids.max of the cgroup): oomguard needs three of its own",
    errno.EMFILE: "allow more open files: ulimit -n 256",
    errno.ENFILE: "close files: the whole machine has no more descriptors (/proc/sys/fs/file-nr)",
    errno.ENOMEM: "free memory, or check the limits: ulimit -a",
    errno.ENOSPC: "free disk space: df -h",
}


@contextmanager
def own_failures_are_told(status: int = OWN_FAILURE) -> Iterator[None]:
    """Within the block what goes wrong is oomguard's own failure, except for a command that cannot be started."""
    try:
        yield
    except CannotStart:
        raise
    except OomguardError as error:
        error.exit_status = status
        raise
    except OSError as error:
        what = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        told = OomguardError(f"oomguard itself failed: {what}", do=_HELP.get(error.errno or 0, "ulimit -a; df -h"))
        told.exit_status = status
        raise told from error
    except Exception:  # noqa: BLE001 - a bug: it shows where, and is not taken for the command's failure
        tell(traceback.format_exc())
        sys.exit(status)
