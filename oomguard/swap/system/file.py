"""The file that becomes swap: where it may go, and how it is made: new, root's alone, all its blocks on the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import stat
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from oomguard.errors import NeedsPrivilege, Stopped, SwapFailed
from oomguard.formats.mounts import parse_mountinfo
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.storage import allocate, disk_of, mount_of, start_writeback
from oomguard.swap.model import PlaceFacts
from oomguard.swap.rules.refusals import is_suitable
from oomguard.text import as_root
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oomguard.formats.mounts import Mount

_NAME = "oomguard.swap"
_SUBVOLUME = "oomguard-swap"

_KINDS = ((stat.S_ISREG, "a file"), (stat.S_ISDIR, "a folder"), (stat.S_ISBLK, "a block device"))


def ioctl_number(direction: Literal["read", "write"], kind: str, number: int, size: int, *, machine: str = "") -> int:
    """Give the number of an ioctl as _IOR() and _IOW() make it, which differ between architectures."""
    if (machine or os.uname().machine).startswith(("ppc", "mips", "sparc", "alpha")):
        top = {"read": 2, "write": 4}[direction] << 29
    else:
        top = {"read": 2, "write": 1}[direction] << 30
    return top | size << 16 | ord(kind) << 8 | number


# include/uapi/linux/btrfs.h: max_id, num_devices, fsid[16] ...
_BTRFS_IOC_FS_INFO = ioctl_number("read", "\x94", 31, 1024)


def read_place(path: Path, *, measure: bool = True) -> PlaceFacts:
    """Read what is known of `path`. A folder stands for a new name in it.

    Raises: NeedsPrivilege if a folder on the way may not be read.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the links that are looked for
    try:
        found = _walk(absolute)
        mount = mount_of(found.deepest)
        if found.existing == "a folder" and found.symlink is None:
            absolute = _name_in(absolute, mount.file_system)
            found = _walk(absolute)
        return _facts(absolute, found, mount, measure=measure)
    except PermissionError as error:
        raise NeedsPrivilege(f"may not read {error.filename}", do=as_root("swap ...")) from error


def places_to_pick(kernel: tuple[int, int]) -> list[PlaceFacts]:
    """Every disk of this machine on which a swap file is known to work, each once, with a free name on it."""
    mounts: dict[tuple[int, int], Mount] = {}
    for mount in parse_mountinfo(read_kernel_text(Path("/proc/self/mountinfo")) or ""):
        # isdir() is False of a folder that this user may not reach; Path.is_dir() raises.
        hidden_or_small = mount.mount_point.startswith("/boot") or not os.path.isdir(mount.mount_point)  # noqa: PTH112
        if is_suitable(mount.file_system, kernel) and not mount.read_only and not hidden_or_small:
            known = mounts.get((mount.major, mount.minor))
            if known is None or len(mount.mount_point) < len(known.mount_point):
                mounts[mount.major, mount.minor] = mount
    places = []
    for mount in mounts.values():
        if disk_of(mount, measure=False).kind in ("loop", "memory", "network", "unknown"):
            continue
        place = read_place(Path(mount.mount_point))
        if place.existing is None and place.foreign_folder is None and place.mount_point == mount.mount_point:
            places.append(place)
    return places


class _Walked:
    """What was met on the way from / to a path."""

    def __init__(self) -> None:
        self.deepest = Path("/")  # the last folder that exists
        self.existing: str | None = None
        self.symlink: str | None = None
        self.missing_folder: str | None = None
        self.foreign_folder: str | None = None


def _walk(path: Path) -> _Walked:
    walked = _Walked()
    for part in (*reversed(path.parents), path):
        try:
            status = part.lstat()
        except FileNotFoundError:
            if part != path:
                walked.missing_folder = str(part)
            return walked
        except NotADirectoryError:
            walked.missing_folder = str(part.parent)
            return walked
        if stat.S_ISLNK(status.st_mode):
            walked.symlink = str(part)
            return walked
        if part == path:
            walked.existing = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "a special file")
        if stat.S_ISDIR(status.st_mode):
            walked.deepest = part
            walked.foreign_folder = walked.foreign_folder or _foreign(part, status)
    return walked


def _foreign(folder: Path, status: os.stat_result) -> str | None:
    """Say in words who else may change a folder: another owner, or anybody where it is not sticky."""
    if status.st_uid != 0:
        return f"the folder {folder} belongs to another user (uid {status.st_uid})"
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid != 0
    if (status.st_mode & stat.S_IWOTH or by_group) and not status.st_mode & stat.S_ISVTX:
        return f"others may write to the folder {folder} (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def _name_in(folder: Path, file_system: str) -> Path:
    """A free name in a folder; on btrfs in a subvolume of its own, so that snapshots do not meet it."""
    for number in range(1, 100):
        suffix = "" if number == 1 else f"-{number}"
        if file_system == "btrfs":
            path = folder / f"{_SUBVOLUME}{suffix}"
            if not os.path.lexists(path):
                return path / _NAME
        else:
            path = folder / _NAME.replace(".", f"{suffix}.")
            if not os.path.lexists(path):
                return path
    return path


def _facts(path: Path, found: _Walked, mount: Mount, *, measure: bool) -> PlaceFacts:
    space = os.statvfs(found.deepest)
    missing, subvolume = found.missing_folder, None
    if mount.file_system == "btrfs" and missing == str(path.parent):
        missing, subvolume = None, missing
    devices, profiles = _btrfs_layout(found.deepest) if mount.file_system == "btrfs" else (1, ())
    return PlaceFacts(
        path=str(path),
        mount_point=mount.mount_point,
        file_system=mount.file_system,
        read_only=mount.read_only,
        free=space.f_bavail * space.f_frsize,
        total=space.f_blocks * space.f_frsize,
        disk=disk_of(mount, measure=measure),
        existing=found.existing,
        symlink=found.symlink,
        missing_folder=missing,
        foreign_folder=found.foreign_folder,
        new_subvolume=subvolume,
        btrfs_devices=devices,
        btrfs_profiles=profiles,
    )


def _btrfs_layout(folder: Path) -> tuple[int, tuple[str, ...]]:
    """How many disks a btrfs is on, and the profiles its data has ("single", "raid1" ...; () if unknown)."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _, devices, fsid = struct.unpack_from("QQ16s", fcntl.ioctl(fd, _BTRFS_IOC_FS_INFO, bytes(1024)))
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            return 1, ()
        raise
    finally:
        os.close(fd)
    uuid = "-".join((fsid.hex()[0:8], fsid.hex()[8:12], fsid.hex()[12:16], fsid.hex()[16:20], fsid.hex()[20:32]))
    data = Path(f"/sys/fs/btrfs/{uuid}/allocation/data")
    found = sorted(item.name for item in data.iterdir()) if data.is_dir() else []
    return devices, tuple(name for name in found if name.startswith(("single", "dup", "raid")))


# include/uapi/linux/fs.h, btrfs.h, f2fs.h; the flags' ioctls are declared with long and take an int
_LONG = struct.calcsize("l")
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = ioctl_number("read", "f", 1, _LONG), ioctl_number("write", "f", 2, _LONG)
_FS_IOC_GETVERSION = ioctl_number("read", "v", 1, _LONG)
_FS_COMPR_FL, _FS_NOCOW_FL = 0x00000004, 0x00800000
_BTRFS_IOC_SUBVOL_CREATE = ioctl_number("write", "\x94", 14, 4096)
_BTRFS_NAME = struct.Struct("q4088s")
_F2FS_IOC_SET_PIN_FILE = ioctl_number("write", "\xf5", 13, 4)

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
            errno.EDQUOT: f"quota -v; a smaller --size, or --path FILE on a disk other than that of {folder}",
            errno.EEXIST: "--path with another name: that file has just been made",
        }.get(error.errno or 0, "dmesg | tail, for what the kernel says; then --path FILE on another disk")
        raise SwapFailed(what, do=do) from error
