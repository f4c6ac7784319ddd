"""What happens to the rest of a job when its supervisor has ended, in the report that the supervisor wrote."""

from __future__ import annotations

import json
import os
import stat
import time
from typing import TYPE_CHECKING

from oomguard.supervision.model import SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE_SECONDS, _STEP_SECONDS = 5.0, 0.05  # the report is written when the command has ended
_LARGEST = 64 << 20


def add_later_kills(report: Path, killed: int) -> None:
    """Note in a report of ours that `killed` processes which outlived the command were killed at its budget.

    What became another file, or is no report, is left alone. Raises: nothing.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while not _add(report, killed) and time.monotonic() < until:
        time.sleep(_STEP_SECONDS)


def _add(report: Path, killed: int) -> bool:
    try:
        fd = os.open(report, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(fd, "r+b") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size > _LARGEST:
            return False
        try:
            facts = json.loads(file.read())
        except ValueError:
            return False
        if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
            return False
        facts["killed_later"] = killed
        file.seek(0)
        file.write(json.dumps(facts).encode() + b"\n")
        file.truncate()
    return True
