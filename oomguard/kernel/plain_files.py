"""Open what is to be read by a name: a pipe is not waited for, and what has no end is not begun.

A name in a shared folder may lead to anything, at any moment: what was opened is looked at, not what was there before.
Raises: OSError, for the caller to explain.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

_DEV_NULL = os.makedev(1, 3)
_INPUT = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OPENAT2, _AT_FDCWD = 437, -100  # the number is the same on all architectures but Alpha, which wheels are not for
_DONT_CACHE = 0x80  # RWF_DONTCACHE of include/uapi/linux/fs.h, from Linux 6.14 on
_NO_LINKS = struct.pack("<QQQ", _INPUT, 0, 0x04)  # struct open_how: flags, mode, RESOLVE_NO_SYMLINKS


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file, or a link to one."""
    return _open(path, _not_regular)


def read_regular(path: Path | str, most: int) -> bytes:
    """Read a regular file whole, if it has `most` bytes at most."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most else file.read(size + 1)
        if len(content) > size:  # it has grown meanwhile
            content += file.read(most + 1 - len(content))
    if max(size, len(content)) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def open_readable(path: Path | str, buffering: int = -1) -> BinaryIO:
    """Open a regular file, what a terminal sends, or a pipe between programs, as `<(zcat log.gz)` gives one.

    Not a pipe with a name, to which perhaps nobody writes, and no other device, which may have no end.
    """
    return _open(path, _not_readable, buffering)


def open_input(path: str) -> int:
    """Open a regular file that goes into a result, which others may read.

    As root a link that another user planted is followed only to files of that user's own: else root would read there
    what the user may not.
    """
    fd = os.open(path, _INPUT) if os.geteuid() != 0 else _open_as_root(path)
    if why := _not_regular(fd):
        os.close(fd)
        raise OSError(errno.EINVAL, why, path)
    os.set_blocking(fd, True)
    return fd


def _open_as_root(path: str) -> int:
    """Where there is no link on the way, which the kernel sees to, nothing leads elsewhere."""
    fd = int(_libc().syscall(_OPENAT2, _AT_FDCWD, os.fsencode(path), _NO_LINKS, len(_NO_LINKS)))
    if fd >= 0:
        return fd
    from oomguard.kernel.path_walk import open_through_links

    return open_through_links(path, _INPUT)  # which says why, if it was none


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)


def read_into(fd: int, room: memoryview, at: int, *, once: bool) -> int:
    """Read as os.preadv does, and say how many bytes came.

    once: what is brought into the page cache for this does not stay there, where kernel and file system can do so; what
    was there before does. Of a page that it has to drop later, the kernel keeps a note in memory of the cgroup that
    read it: 2 MiB for a large file under 96M.
    """
    if once and not _keeps_cache:
        try:
            return os.preadv(fd, [room], at, _DONT_CACHE)
        except NotImplementedError:  # a C library without preadv2
            _keeps_cache.append(True)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            _keeps_cache.append(True)
    return os.preadv(fd, [room], at)


_keeps_cache: list[bool] = []  # True once it was found that there is no other way


def by_descriptor(fd: int, path: str) -> str:
    """A name of what is open as `fd`, for libraries that open by a name."""
    name = f"/proc/self/fd/{fd}"
    return name if os.path.exists(name) else path  # noqa: PTH110 - a str; without /proc there is none


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
