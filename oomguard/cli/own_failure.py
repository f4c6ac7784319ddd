"""Beside a command, 1 may be its own status: whatever fails in oomguard ends with 125."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oomguard.cli.exit_status import tell_bug
from oomguard.errors import CannotStart, OomguardError, explain

if TYPE_CHECKING:
    from collections.abc import Iterator

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
