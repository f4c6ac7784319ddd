"""Read what is known of a path where a swap file may go, and find such paths. Looks, and changes nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import NeedsPrivilege
from oomguard.formats.mounts import parse_mountinfo
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.storage import disk_of, mount_of
from oomguard.swap.model import PlaceFacts
from oomguard.swap.rules.refusals import is_suitable
from oomguard.text import as_root

if TYPE_CHECKING:
    from oomguard.formats.mounts import Mount

_NAME = "oomguard.swap"
_SUBVOLUME = "oomguard-swap"
_BTRFS_IOC_FS_INFO = 0x8400941F  # include/uapi/linux/btrfs.h: max_id, num_devices, fsid[16] ...
_KINDS = ((stat.S_ISREG, "a file"), (stat.S_ISDIR, "a folder"), (stat.S_ISBLK, "a block device"))


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
