"""Write to standard error, which may be a full disk, or a pipe whose reader has gone.

What cannot be written there changes nothing else: neither whether a command is started, nor its status.
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
        except BlockingIOError:  # another process that shares the terminal made it non-blocking
            select.select([], [fd], [])
