"""What is mounted where. Source: Linux fs/proc_namespace.c, show_mountinfo(); proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOUNT_ID = re.compile(r"[0-9]{1,10}")
_OCTAL_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mount that this process sees."""

    mount_id: int
    device: str  # "major:minor" of the file system; major 0 where no block device alone is behind it
    root: str  # what of the file system is mounted: "/", or a folder of it (a bind mount, a subvolume)
    mount_point: str
    options: frozenset[str]  # of this mount: "ro", "relatime" ...
    super_options: frozenset[str]  # of the whole file system: "ro", "compress=zstd:3", a v1 cgroup's controllers ...
    file_system: str
    source: str  # "/dev/vda1", "server:/home", "tmpfs"

    @property
    def read_only(self) -> bool:
        """Whether the mount, or the whole file system, takes no writes."""
        return "ro" in self.options or "ro" in self.super_options


def parse_mountinfo(text: str) -> list[Mount]:
    """Read /proc/PID/mountinfo, in the order of mounting. Raises: nothing. A line that is none is left out."""
    mounts = []
    for line in text.split("\n"):
        fields, _, after = line.partition(" - ")
        mount_fields, super_fields = fields.split(" "), after.split(" ")
        if len(mount_fields) < 6 or len(super_fields) < 3 or not _MOUNT_ID.fullmatch(mount_fields[0]):
            continue
        mounts.append(
            Mount(
                mount_id=int(mount_fields[0]),
                device=mount_fields[2],
                root=unescape_octal(mount_fields[3]),
                mount_point=unescape_octal(mount_fields[4]),
                options=frozenset(mount_fields[5].split(",")),
                super_options=frozenset(super_fields[2].split(",")),
                file_system=super_fields[0],
                source=unescape_octal(super_fields[1]),
            )
        )
    return mounts


def unescape_octal(field: str) -> str:
    r"""Undo what the kernel does to spaces, tabs, line ends and backslashes in a path: "\040" is a space."""
    return _OCTAL_ESCAPE.sub(lambda escape: chr(int(escape[1], 8)), field)
