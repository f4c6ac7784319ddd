"""Which mount, and so which file system, a folder is on. Source: proc_pid_fdinfo(5), proc_pid_mountinfo(5)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from oomguard.formats.mountinfo import Mount, parse_mountinfo
from oomguard.kernel.cgroup.directory import read_kernel_text

_MOUNT_ID = re.compile(r"^mnt_id:\s+([0-9]{1,10})$", re.MULTILINE)
_IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}


def is_in_memory(folder: Path) -> bool:
    """Whether files in `folder`, which need not be there yet, are memory: they count against a cgroup."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return mount_of(there).file_system in _IN_MEMORY


def mount_of(folder: Path) -> Mount:
    """The mount that a folder is on, as the kernel resolves it: later mounts may hide earlier ones."""
    fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        found = _MOUNT_ID.search(read_kernel_text(Path(f"/proc/self/fdinfo/{fd}")) or "")
    finally:
        os.close(fd)
    mounts = parse_mountinfo(read_kernel_text(Path("/proc/self/mountinfo")) or "")
    return next(mount for mount in mounts if found is not None and mount.mount_id == int(found[1]))
