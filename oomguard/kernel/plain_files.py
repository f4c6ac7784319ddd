"""Open what is to be read by a name: a pipe is not waited for, and what has no end is not begun.

A name in a shared folder may lead to anything, at any moment: what was opened is looked at, not what was there before.
Raises: OSError, for the caller to explain.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

_DEV_NULL = os.makedev(1, 3)


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file, or a link to one."""
    return _open(path, _not_regular)


def read_regular(path: Path | str, most: int) -> bytes:
    """Read a regular file whole, if it has `most` bytes at most."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most else file.read(most + 1)
    if max(size, len(content)) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def open_readable(path: Path | str, buffering: int = -1) -> BinaryIO:
    """Open a regular file, what a terminal sends, or a pipe between programs, as `<(zcat log.gz)` gives one.

    Not a pipe with a name, to which perhaps nobody writes, and no other device, which may have no end.
    """
    return _open(path, _not_readable, buffering)


def _open(path: Path | str, why_not: Callable[[int], str], buffering: int = -1) -> BinaryIO:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if why := why_not(fd):
        os.close(fd)
        raise OSError(errno.EINVAL, why, str(path))
    os.set_blocking(fd, True)
    try:
        return os.fdopen(fd, "rb", buffering)
    except BaseException:  # a folder
        os.close(fd)
        raise


def _not_regular(fd: int) -> str:
    return "" if stat.S_ISREG(os.fstat(fd).st_mode) else "it is not a regular file"


def _not_readable(fd: int) -> str:
    status = os.fstat(fd)
    if stat.S_ISFIFO(status.st_mode):
        is_nameless = os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")  # noqa: PTH115 - no path to anything
        return "" if is_nameless else "it is a pipe"
    is_device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    has_end = os.isatty(fd) or status.st_rdev == _DEV_NULL
    return "it is a device" if is_device and not has_end else ""
