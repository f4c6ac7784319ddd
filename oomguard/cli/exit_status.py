"""How a command ends: an error is two lines, what and what to do, and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from oomguard.cli.standard_error import tell
from oomguard.errors import OomguardError, Stopped
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

_FAILED = 1


def status_of(function: Callable[[], None]) -> int:
    """Call it, print its error, and give the exit status: 1 for what failed, 128 and the signal that stopped it."""
    try:
        function()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else _FAILED if end.code else 0
    except OomguardError as error:
        label = "stopped" if isinstance(error, Stopped) else "error"
        # Both may quote what somebody gave; a terminal must not obey it.
        tell(f"{label}: {printable(str(error))}\n  try: {printable(error.do)}\n")
        return error.exit_status
    except KeyboardInterrupt:
        tell("stopped\n")
        return Stopped.exit_status
    except BrokenPipeError:
        # `oomguard ... | head`: what nobody reads is no error. Python would complain again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
