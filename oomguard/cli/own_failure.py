"""Beside a command, 1 may be its own status: whatever fails in oomguard ends with 125."""

from __future__ import annotations

import errno
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oomguard.cli.standard_error import tell
from oomguard.errors import CannotStart, OomguardError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
