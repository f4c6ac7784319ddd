"""The file system a folder is on, how fast its disk reads, and how the space of a file is taken and given back.

Source: sync_file_range(2), fallocate(2).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import re
import stat
import time
from pathlib import Path

from oomguard.formats.mounts import Mount, parse_mountinfo
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.model import DiskFacts, DiskKind
from oomguard.kernel.process.prctl import last_error, libc
from oomguard.units import MIB

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


# Which mount, and so which file system, a folder is on. Source: proc_pid_fdinfo(5), proc_pid_mountinfo(5).

_MOUNT_ID = re.compile(r"^mnt_id:\s+([0-9]{1,10})$", re.MULTILINE)
_IN_MEMORY = {0x01021994, 0x858458F6}  # tmpfs (and devtmpfs), ramfs: linux/magic.h
_STATFS_BYTES = 256  # more than any struct statfs


def is_in_memory(folder: Path) -> bool:
    """Whether files in `folder`, which need not be there yet, are memory: they count against a cgroup."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    # Not by the list of mounts: a chroot whose root is no mount is on one that its list lacks.
    answer = (ctypes.c_long * (_STATFS_BYTES // ctypes.sizeof(ctypes.c_long)))()
    if libc().statfs(os.fsencode(there), answer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(there))
    return answer[0] & 0xFFFFFFFF in _IN_MEMORY


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
