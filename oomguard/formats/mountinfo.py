"""Which file systems are mounted where. Source: Linux fs/proc_namespace.c, show_mountinfo(); proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OCTAL_ESCAPE = re.compile(r"\\([0-7]{3})")
_DEVICE = re.compile(r"([0-9]{1,7}):([0-9]{1,7})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mounted file system."""

    major: int
    minor: int
    root: str  # the folder of the file system that is seen at the mount point
    mount_point: str
    file_system: str  # its type: "ext4", "tmpfs", "cgroup2"
    options: frozenset[str]  # of this mount
    super_options: frozenset[str]  # of the file system, for all its mounts


def parse_mountinfo(text: str) -> list[Mount]:
    """Read /proc/PID/mountinfo; what a later mount on the same place hides is left out. Raises: nothing."""
    mounts: dict[str, Mount] = {}
    for line in text.split("\n"):
        fields, _, after = line.partition(" - ")
        mount_fields, super_fields = fields.split(" "), after.split(" ")
        if len(mount_fields) < 6 or len(super_fields) < 3:
            continue
        device = _DEVICE.fullmatch(mount_fields[2])
        root, mount_point = (_unescape(field) for field in mount_fields[3:5])
        mounts.pop(mount_point, None)
        mounts[mount_point] = Mount(
            major=int(device[1]) if device else 0,
            minor=int(device[2]) if device else 0,
            root=root,
            mount_point=mount_point,
            file_system=super_fields[0],
            options=frozenset(mount_fields[5].split(",")),
            super_options=frozenset(super_fields[2].split(",")),
        )
    return list(mounts.values())


def _unescape(field: str) -> str:
    return _OCTAL_ESCAPE.sub(lambda escape: chr(int(escape[1], 8)), field)
