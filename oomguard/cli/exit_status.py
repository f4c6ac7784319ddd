"""How a command ends: an error is two lines, what and what to do, and an exit status."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oomguard.cli.console import coloured, tell, wants_colour
from oomguard.errors import CannotStart, OomguardError, Stopped, explain
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_FAILED, _FAILED_BESIDE_A_COMMAND = 1, 125
_OF_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EIO)


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
    except Exception as error:  # noqa: BLE001 - told, or shown as a bug
        return _tell_other(error)
    return 0


def _tell_other(error: Exception) -> int:
    if isinstance(error, OSError) and error.filename is None and error.errno in _OF_OUTPUT:
        if error.errno != errno.EPIPE:  # `oomguard ... | head`: what nobody reads is not an error
            doing = "write to standard output" if error.errno == errno.ENOSPC else "read or write"
            tell_failure("error", f"could not {doing}: {error.strerror}", "df -h")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain again when it exits
    elif (explained := explain(error)) is not None:
        tell_failure("error", str(explained), explained.do)
    else:
        tell_bug()
    # Beside a command, 1 may be its own status.
    return _FAILED_BESIDE_A_COMMAND if sys.argv[1:2] in (["run"], ["profile"]) else _FAILED


def tell_bug() -> None:
    """Show the traceback of what nobody foresaw, and what to do with it."""
    try:
        version = importlib.import_module("importlib.metadata").version("oomguard")
    except Exception:  # noqa: BLE001 - what broke the program may have broken imports, too
        version = "(of an unknown version)"
    kernel = os.uname().release
    tell(
        f"{traceback.format_exc()}error: this is a bug in oomguard {version} (Python {sys.version.split()[0]}, "
        f"Linux {kernel})\n  try: send these lines, and the command, to where you got oomguard from; see SECURITY.md "
        "first if it endangers others\n"
    )


def status_of_job(function: Callable[[], None]) -> int:
    """The same, in a forked process, where nothing may go back to the caller."""
    try:
        status = status_of(function)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - a bug, which shows where
        tell_bug()
        return _FAILED
    return status


def tell_failure(label: str, what: str, do: str) -> None:
    """Print two lines: what, and what to do. Both may quote what somebody gave; a terminal must not obey it."""
    text = f"{label}: {printable(what)}\n  try: {printable(do)}\n"
    tell(coloured(text) if wants_colour(sys.stderr) else text)


# Beside a command, 1 may be its own status: whatever fails in oomguard ends with 125.

OWN_FAILURE = 125


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
    except Exception as error:
        explained = explain(error)
        if explained is None:  # a bug: it shows where, and is not taken for the command's failure
            tell_bug()
            sys.exit(status)
        told = OomguardError(f"oomguard itself failed: {explained}", do=explained.do)
        told.exit_status = status
        raise told from error
