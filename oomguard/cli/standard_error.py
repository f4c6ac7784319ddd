"""Tell something on standard error, where nobody may listen: a full disk, a pipe whose reader has gone.

What cannot be told there changes nothing else: not whether a command is started, nor its status.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress


def tell(text: str) -> None:
    """Write `text` to standard error, past Python's buffer: it would try what failed again at exit, with status 120.

    Raises: nothing.
    """
    with suppress(OSError, ValueError):
        sys.stderr.flush()
        try:
            fd = sys.stderr.fileno()
        except (OSError, AttributeError):  # what stands in for it in another's program
            sys.stderr.write(text)
            return
        _write(fd, text.encode(sys.stderr.encoding or "utf-8", "backslashreplace"))


def _write(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # somebody who shares the terminal set it so
            select.select([], [fd], [])
