"""How the space of a file is taken, written out and given back. Source: sync_file_range(2), fallocate(2)."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache

_SYNC_FILE_RANGE_WAIT_BEFORE = 1  # include/uapi/linux/fs.h
_SYNC_FILE_RANGE_WRITE = 2
_SYNC_FILE_RANGE_WAIT_AFTER = 4

_FALLOC_FL_KEEP_SIZE = 1  # include/uapi/linux/falloc.h
_FALLOC_FL_PUNCH_HOLE = 2


def start_writeback(fd: int, offset: int, length: int, *, wait: bool) -> None:
    """Start to write a range's dirty page cache to disk; with `wait`, also wait until it is written.

    It bounds how much dirty cache a writer piles up in its cgroup. It is no fsync: file sizes and a disk's
    own cache may still be lost. A `length` of 0 means to the end. Where the call is missing, fdatasync()
    does more.
    Raises: OSError, such as EIO or ENOSPC, when writing back failed.
    """
    flags = _SYNC_FILE_RANGE_WRITE
    if wait:
        flags |= _SYNC_FILE_RANGE_WAIT_BEFORE | _SYNC_FILE_RANGE_WAIT_AFTER
    try:
        call = _libc().sync_file_range
    except AttributeError:  # a C library without it
        os.fdatasync(fd)
        return
    if call(fd, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(flags)) != 0:
        error = _last_error()
        if error.errno != errno.ENOSYS:
            raise error
        os.fdatasync(fd)


def allocate(fd: int, length: int) -> bool:
    """Give a file `length` bytes of disk at once, without writing them: they read as zeros.

    Says False where the file system cannot do that (the C library's posix_fallocate() would then write).
    Raises: OSError for anything else, such as ENOSPC.
    """
    if _libc().fallocate(fd, ctypes.c_int(0), ctypes.c_int64(0), ctypes.c_int64(length)) == 0:
        return True
    error = _last_error()
    if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
        return False
    raise error


def punch_hole(fd: int, offset: int, length: int) -> bool:
    """Give a range's disk blocks and page cache back; the file keeps its size and reads as zeros there.

    Says False where the file system has no holes. Raises: OSError for anything else, such as EBADF.
    """
    mode = _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE
    if _libc().fallocate(fd, ctypes.c_int(mode), ctypes.c_int64(offset), ctypes.c_int64(length)) == 0:
        return True
    error = _last_error()
    if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
        return False
    raise error


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
