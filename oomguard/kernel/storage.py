"""The file system a folder is on, how fast its disk reads, and how the space of a file is taken and given back.

Below: folders of one run's own.

Source: sync_file_range(2), fallocate(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import re
import secrets
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.mounts import Mount, parse_mountinfo
from oomguard.kernel import safe_files
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.model import DiskFacts, DiskKind
from oomguard.kernel.prctl import last_error, libc
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator


# The disk under a file system: what it is, and about how fast it reads.
#
# Source: Linux Documentation/ABI/stable/sysfs-block; the numbers of disks that cannot be measured are what such
# disks commonly read, rounded down.

_USUAL_BYTES_PER_SECOND: dict[DiskKind, float] = {
    "nvme": 1.5e9, "ssd": 0.4e9, "hdd": 0.1e9, "card": 0.03e9, "virtual": 0.2e9, "loop": 0.2e9, "memory": 5e9,
    "network": 0.05e9, "unknown": 0.1e9,
}  # fmt: skip
_BY_NAME: tuple[tuple[str, DiskKind], ...] = (
    ("nvme", "nvme"), ("mmcblk", "card"), ("vd", "virtual"), ("xvd", "virtual"), ("loop", "loop"),
    ("zram", "memory"), ("ram", "memory"), ("pmem", "nvme"), ("nbd", "network"),
    ("rbd", "network"), ("drbd", "network"),
)  # fmt: skip
_MEASURE_SECONDS = 0.15
_MEASURE_BLOCK = MIB


def disk_of(mount: Mount, *, root: Path = Path("/"), measure: bool = True) -> DiskFacts:
    """Find the disk under a mount. Where it may be read (by root) and `measure` is set, measure it."""
    number = _device_number(mount, root)
    folder = root / "sys/dev/block" / number
    if number.startswith("0:") or not folder.exists():
        kind: DiskKind = "unknown"
        return DiskFacts(name="", kind=kind, bytes_per_second=_USUAL_BYTES_PER_SECOND[kind], measured=False)
    folder = folder.resolve()
    if (folder / "partition").exists():
        folder = folder.parent
    kind = _kind(folder)
    rate = _measure(root / "dev" / folder.name) if measure else None
    return DiskFacts(
        name=folder.name,
        kind=kind,
        bytes_per_second=rate or _USUAL_BYTES_PER_SECOND[kind],
        measured=rate is not None,
    )


def _device_number(mount: Mount, root: Path) -> str:
    """The mount's "major:minor"; of btrfs, whose own number is made up, its source's."""
    if mount.major == 0 and mount.source.startswith("/dev/"):
        try:
            source = (root / mount.source.lstrip("/")).stat()
        except OSError:
            return "0:0"
        if stat.S_ISBLK(source.st_mode):
            return f"{os.major(source.st_rdev)}:{os.minor(source.st_rdev)}"
    return f"{mount.major}:{mount.minor}"


def _kind(folder: Path) -> DiskKind:
    """What a disk is, by its name, the disks below it (device mapper, RAID), and what it says of itself."""
    below = [_kind(slave.resolve()) for slave in _children(folder / "slaves")]
    if below:
        return min(below, key=lambda kind: _USUAL_BYTES_PER_SECOND[kind])
    for start, kind in _BY_NAME:
        if re.match(rf"{start}[0-9a-z]", folder.name):
            return kind
    if "/session" in str(folder):  # iSCSI
        return "network"
    rotational = (read_kernel_text(folder / "queue/rotational") or "").strip()
    return {"0": "ssd", "1": "hdd"}.get(rotational, "unknown")  # type: ignore[return-value]  # those words


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _measure(device: Path) -> float | None:
    """Read blocks from all over a disk, past the page cache, for a moment. Gives bytes a second, None if it may not."""
    try:
        fd = os.open(device, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        blocks = os.lseek(fd, 0, os.SEEK_END) // _MEASURE_BLOCK
        with mmap.mmap(-1, _MEASURE_BLOCK) as buffer:  # aligned to a page, as O_DIRECT wants it
            done, began = 0, time.monotonic()
            # A step that no stripe size divides, so that all parts are visited.
            for number in range(0, blocks * 7919, 7919):
                done += os.preadv(fd, [buffer], number % blocks * _MEASURE_BLOCK)
                if time.monotonic() - began > _MEASURE_SECONDS:
                    break
            return done / max(time.monotonic() - began, 1e-6) if done else None
    except OSError:
        return None
    finally:
        os.close(fd)


# Which mount, and so which file system, a folder is on.
#
# Source: statfs(2) and include/uapi/linux/magic.h; proc_pid_fdinfo(5), proc_pid_mountinfo(5).

_MOUNT_ID = re.compile(r"^mnt_id:\s+([0-9]{1,10})$", re.MULTILINE)
_IN_MEMORY = {0x01021994, 0x858458F6}  # TMPFS_MAGIC, which devtmpfs has too; RAMFS_MAGIC
_STATFS_BYTES = 256  # more than struct statfs has; f_type, a long, is its first field


def is_in_memory(folder: Path) -> bool:
    """Whether files in `folder`, which need not be there yet, are memory: they count against a cgroup. Raises: OSError.

    The file system is asked, and not the list of mounts: in a chroot the one of its root may not be in that list.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    facts = ctypes.create_string_buffer(_STATFS_BYTES)
    if libc().statfs(os.fsencode(there), facts) != 0:
        raise last_error()
    return ctypes.c_ulong.from_buffer(facts).value & 0xFFFFFFFF in _IN_MEMORY


def mount_of(folder: Path) -> Mount:
    """The mount that a folder is on, as the kernel resolves it: later mounts may hide earlier ones. Raises: OSError."""
    fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        found = _MOUNT_ID.search(read_kernel_text(Path(f"/proc/self/fdinfo/{fd}")) or "")
    finally:
        os.close(fd)
    mounts = parse_mountinfo(read_kernel_text(Path("/proc/self/mountinfo")) or "")
    for mount in mounts:
        if found is not None and mount.mount_id == int(found[1]):
            return mount
    raise OSError(errno.ENODATA, "/proc/self/mountinfo does not say which file system it is on", str(folder))


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
        call = libc().sync_file_range
    except AttributeError:  # a C library without it
        os.fdatasync(fd)
        return
    if call(fd, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(flags)) != 0:
        error = last_error()
        if error.errno != errno.ENOSYS:
            raise error
        os.fdatasync(fd)


def allocate(fd: int, length: int) -> bool:
    """Give a file `length` bytes of disk at once, without writing them: they read as zeros.

    Says False where the file system cannot do that (the C library's posix_fallocate() would then write).
    Raises: OSError for anything else, such as ENOSPC.
    """
    if libc().fallocate(fd, ctypes.c_int(0), ctypes.c_int64(0), ctypes.c_int64(length)) == 0:
        return True
    error = last_error()
    if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
        return False
    raise error


def punch_hole(fd: int, offset: int, length: int) -> bool:
    """Give a range's disk blocks and page cache back; the file keeps its size and reads as zeros there.

    Says False where the file system has no holes. Raises: OSError for anything else, such as EBADF.
    """
    mode = _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE
    if libc().fallocate(fd, ctypes.c_int(mode), ctypes.c_int64(offset), ctypes.c_int64(length)) == 0:
        return True
    error = last_error()
    if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
        return False
    raise error


# A folder of one run's own beside files that are kept: it goes with the run, or with the next one that comes by.
#
# Where everyone may write, another user can put any folder in its place, a finished one of root's too. So it is written
# to and emptied by its descriptor, and one that an earlier run left is known by a mark inside, where only its owner can
# write.

_MARK = ".oomguard-scratch"
_INNER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[tuple[Path, Path]]:
    """A new folder in `parent`, locked as long as it is used; and the same by its descriptor, for what is written.

    What an earlier run left that was killed is removed first. Raises: OSError; NotOurs.
    """
    above = safe_files.open_folder(parent)
    try:
        _clean(above, prefix)
        name = f"{prefix}{secrets.token_hex(8)}"
        os.mkdir(name, 0o700, dir_fd=above)
        lock = os.open(name, _INNER, dir_fd=above)
        try:
            if not _is_private(lock) or os.listdir(lock):  # noqa: PTH208 - by its descriptor
                raise FileExistsError(f"{name} was put in the place of a new folder")  # which is not emptied, then
            fcntl.flock(lock, fcntl.LOCK_EX)  # before the mark, by which another run would take it for a left one
            try:
                os.close(os.open(_MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=lock))
                yield parent / name, Path(f"/proc/self/fd/{lock}")
            finally:
                _remove(above, name, lock)
        finally:
            os.close(lock)
    finally:
        os.close(above)


def _is_private(folder: int) -> bool:
    status = os.fstat(folder)
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _clean(above: int, prefix: str) -> None:
    """Remove what a killed run left: nobody holds its lock any more."""
    for name in os.listdir(above):
        if not name.startswith(prefix):
            continue
        with suppress(OSError):  # not a folder, or another run is at work in it
            lock = os.open(name, _INNER, dir_fd=above)
            try:
                if _is_private(lock) and _MARK in os.listdir(lock):  # noqa: PTH208
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(above, name, lock)
            finally:
                os.close(lock)


def _remove(above: int, name: str, folder: int) -> None:
    """Empty it, and take its name away, if it still has that. What cannot be emptied keeps its mark for the next."""
    with suppress(OSError):
        for inner in set(os.listdir(folder)) - {_MARK}:
            try:
                os.unlink(inner, dir_fd=folder)
            except OSError:  # a folder
                shutil.rmtree(inner, ignore_errors=True, dir_fd=folder)
        if not set(os.listdir(folder)) - {_MARK}:
            with suppress(FileNotFoundError):  # it was not made yet
                os.unlink(_MARK, dir_fd=folder)
            os.rmdir(name, dir_fd=above)  # only an empty one goes
