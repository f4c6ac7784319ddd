"""What is mounted, and what is to be at each start: /proc/self/mountinfo and /etc/fstab."""

from __future__ import annotations

import re

from oomguard.records import dataclass

# Which file systems are mounted where. Source: Linux fs/proc_namespace.c, show_mountinfo(); proc_pid_mountinfo(5).

_MOUNT_ID = re.compile(r"[0-9]{1,10}")
_OCTAL_ESCAPE = re.compile(r"\\([0-7]{3})")
_DEVICE = re.compile(r"([0-9]{1,7}):([0-9]{1,7})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mounted file system."""

    mount_id: int
    major: int  # of the file system's device; 0 where no single block device is behind it
    minor: int
    root: str  # the folder of the file system that is seen at the mount point
    mount_point: str
    file_system: str  # its type: "ext4", "tmpfs", "cgroup2"
    source: str  # "/dev/vda1", "server:/home", "tmpfs"
    options: frozenset[str]  # of this mount
    super_options: frozenset[str]  # of the file system, for all its mounts

    @property
    def read_only(self) -> bool:
        """Whether the mount, or the whole file system, takes no writes."""
        return "ro" in self.options or "ro" in self.super_options


def parse_mountinfo(text: str) -> list[Mount]:
    """Read /proc/PID/mountinfo; what a later mount on the same place hides is left out. Raises: nothing."""
    mounts: dict[str, Mount] = {}
    for line in text.split("\n"):
        fields, _, after = line.partition(" - ")
        mount_fields, super_fields = fields.split(" "), after.split(" ")
        if len(mount_fields) < 6 or len(super_fields) < 3 or not _MOUNT_ID.fullmatch(mount_fields[0]):
            continue
        device = _DEVICE.fullmatch(mount_fields[2])
        root, mount_point = (unescape_octal(field) for field in mount_fields[3:5])
        mounts.pop(mount_point, None)
        mounts[mount_point] = Mount(
            mount_id=int(mount_fields[0]),
            major=int(device[1]) if device else 0,
            minor=int(device[2]) if device else 0,
            root=root,
            mount_point=mount_point,
            file_system=super_fields[0],
            source=unescape_octal(super_fields[1]),
            options=frozenset(mount_fields[5].split(",")),
            super_options=frozenset(super_fields[2].split(",")),
        )
    return list(mounts.values())


def unescape_octal(field: str) -> str:
    r"""Undo what the kernel does to spaces, tabs, line ends and backslashes in a path: "\040" is a space."""
    return _OCTAL_ESCAPE.sub(lambda escape: chr(int(escape[1], 8)), field)


# The swap lines of /etc/fstab, found, added and taken out without touching any other. Source: fstab(5).

_ESCAPED = {"\\": "\\134", " ": "\\040", "\t": "\\011", "\n": "\\012", "#": "\\043"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FstabEntry:
    """One line of fstab that is neither empty nor a comment."""

    source: str  # what is mounted or switched on: "/dev/sda2", "UUID=...", "/swapfile"
    target: str  # where; "none" for swap
    kind: str  # "ext4", "swap" ...
    options: frozenset[str]


def parse_fstab(text: str) -> list[FstabEntry]:
    """Read the entries of fstab. Raises: nothing. A line that is none is left out."""
    return [entry for line in text.split("\n") if (entry := _parse_line(line)) is not None]


def swap_line(path: str, *, priority: int | None) -> str:
    """Write the line that switches the swap file `path` on at each boot.

    "nofail": a machine whose swap file is gone still boots.
    """
    options = "nofail" if priority is None else f"nofail,pri={priority}"
    return f"{escape_path(path)} none swap {options} 0 0"


def escape_path(path: str) -> str:
    r"""Write a path as a field of fstab: a space is "\040"."""
    return "".join(_ESCAPED.get(character, character) for character in path)


def has_swap_line(text: str, path: str) -> bool:
    """Whether fstab switches the swap file `path` on already."""
    return any(_is_swap_of(line, path) for line in text.split("\n"))


def add_line(text: str, line: str) -> str:
    """Give fstab with one more line at its end; all before it is kept byte for byte."""
    separator = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{separator}{line}\n"


def remove_swap_lines(text: str, path: str) -> str:
    """Give fstab without the lines that switch the swap file `path` on; all others are kept byte for byte."""
    return "\n".join(line for line in text.split("\n") if not _is_swap_of(line, path))


def without_swap_lines(text: str) -> list[str]:
    """The lines of fstab that switch no swap on."""
    return [line for line in text.split("\n") if (entry := _parse_line(line)) is None or entry.kind != "swap"]


def _is_swap_of(line: str, path: str) -> bool:
    entry = _parse_line(line)
    return entry is not None and entry.kind == "swap" and entry.source == path


def _parse_line(line: str) -> FstabEntry | None:
    fields = line.split()
    if len(fields) < 3 or fields[0].startswith("#"):
        return None
    options = frozenset(fields[3].split(",")) if len(fields) > 3 else frozenset[str]()
    return FstabEntry(
        source=unescape_octal(fields[0]), target=unescape_octal(fields[1]), kind=fields[2], options=options
    )
