"""Make the file that becomes swap: new, root's alone, all its blocks on the disk. Each step of a plan, in order."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import NeedsPrivilege, Stopped, SwapFailed
from oomguard.kernel.storage import allocate, start_writeback
from oomguard.text import as_root
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# include/uapi/linux/fs.h, btrfs.h, f2fs.h; the flags' ioctls are declared with long and take an int
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602
_FS_IOC_GETVERSION = 0x80087601
_FS_COMPR_FL, _FS_NOCOW_FL = 0x00000004, 0x00800000
_BTRFS_IOC_SUBVOL_CREATE = 0x5000940E
_BTRFS_NAME = struct.Struct("q4088s")
_F2FS_IOC_SET_PIN_FILE = 0x4004F50D

_ZEROS = bytes(4 * MIB)


def make_subvolume(folder: str) -> None:
    """Make a btrfs subvolume. Raises: SwapFailed."""
    path = Path(folder)
    with _explained("make the subvolume", folder):
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            name = bytearray(_BTRFS_NAME.pack(0, os.fsencode(path.name)))  # ioctl() takes no bytes as long as these
            fcntl.ioctl(parent, _BTRFS_IOC_SUBVOL_CREATE, name)
        finally:
            os.close(parent)


def create_file(path: str) -> int:
    """Make an empty file that only root may read, and open it. Never opens one that exists.

    Raises: SwapFailed, NeedsPrivilege.
    """
    with _explained("create", path):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
    os.fchmod(fd, 0o600)  # whatever the umask and a folder's default ACL made of it
    return fd


def generation_of(fd: int) -> int | None:
    """The inode's generation, which tells it from a later one with the same number. None: none is kept."""
    try:
        return int(struct.unpack("l", fcntl.ioctl(fd, _FS_IOC_GETVERSION, struct.pack("l", 0)))[0])
    except OSError:
        return None


def set_no_copy_on_write(fd: int, path: str) -> None:
    """Let btrfs write this file's pages where they are: only an empty file takes that, and it says nothing if not.

    Raises: SwapFailed.
    """
    with _explained("switch copy-on-write off for", path):
        flags = _flags(fd)
        fcntl.ioctl(fd, _FS_IOC_SETFLAGS, struct.pack("l", flags & ~_FS_COMPR_FL | _FS_NOCOW_FL))
        if not _flags(fd) & _FS_NOCOW_FL:
            raise OSError(errno.EINVAL, "btrfs did not keep the flag")


def pin(fd: int, path: str) -> None:
    """Keep f2fs from moving this file's blocks. Raises: SwapFailed."""
    with _explained("pin", path):
        fcntl.ioctl(fd, _F2FS_IOC_SET_PIN_FILE, struct.pack("I", 1))


def allocate_blocks(fd: int, path: str, size: int, *, stop_asked: Callable[[], str | None] = lambda: None) -> bool:
    """Give the file its blocks at once. Says False where the file system cannot, and zeros must be written.

    Raises: SwapFailed, as when there is no room after all; Stopped.
    """
    with _explained(f"give {format_size(size)} to", path):
        while True:
            try:
                done = allocate(fd, size)
            except InterruptedError:  # a signal, in the middle of a large file
                _check_stop(path, stop_asked)
                continue
            if done:
                os.fsync(fd)
            return done


def write_zeros(
    fd: int,
    path: str,
    size: int,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    stop_asked: Callable[[], str | None] = lambda: None,
) -> None:
    """Write the whole file; slow, and what every file system takes.

    Raises: SwapFailed, as when the disk fills up; Stopped.
    """
    with _explained(f"write {format_size(size)} to", path):
        done = 0
        while done < size:
            done += os.pwrite(fd, _ZEROS[: size - done], done)
            # Written through as it goes, so that no mountain of dirty cache takes the memory that is short.
            start_writeback(fd, max(0, done - len(_ZEROS)), len(_ZEROS), wait=True)
            if on_progress is not None:
                on_progress(done, size)
            _check_stop(path, stop_asked)
        os.fsync(fd)


def remove_file(path: str) -> None:
    """Remove a swap file that is off. Harmless if it is gone. Raises: SwapFailed, NeedsPrivilege."""
    with _explained("remove", path):
        Path(path).unlink(missing_ok=True)


def remove_subvolume(folder: str) -> None:
    """Remove the subvolume that was made for a swap file; it stays if something else is in it.

    Raises: SwapFailed.
    """
    try:
        Path(folder).rmdir()  # Linux removes an empty subvolume so since 4.18
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY):
            raise SwapFailed(
                f"cannot remove {folder}: {error.strerror}", do=f"btrfs subvolume delete {shlex.quote(folder)}"
            ) from error


def _check_stop(path: str, stop_asked: Callable[[], str | None]) -> None:
    if asked := stop_asked():
        raise Stopped(f"{asked}; nothing of {path} is left", do="run the same command again")


def _flags(fd: int) -> int:
    return int(struct.unpack("l", fcntl.ioctl(fd, _FS_IOC_GETFLAGS, struct.pack("l", 0)))[0])


@contextmanager
def _explained(doing: str, path: str) -> Iterator[None]:
    """Turn what the kernel answers into an error with the next step."""
    try:
        yield
    except OSError as error:
        folder = shlex.quote(str(Path(path).parent))
        what = f"cannot {doing} {path}: {error.strerror}"
        if isinstance(error, PermissionError):
            raise NeedsPrivilege(what, do=as_root("swap ...")) from error
        do = {
            errno.ENOSPC: f"df -h {folder}; a smaller --size, or --path FILE on another disk",
            errno.EDQUOT: f"quota -v; a smaller --size, or --path FILE on another disk than {folder}",
            errno.EEXIST: "--path with another name: that file has just been made",
        }.get(error.errno or 0, "dmesg | tail, for what the kernel says; then --path FILE on another disk")
        raise SwapFailed(what, do=do) from error
