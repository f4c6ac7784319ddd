"""What a folder is on."""

from __future__ import annotations

from pathlib import Path

_IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}


def is_in_memory(folder: Path) -> bool:
    """Whether files in `folder` are memory: a tmpfs counts against a cgroup like a process's own."""
    import psutil

    folder = folder.resolve()
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    nearest = next((mounts[parent] for parent in (folder, *folder.parents) if parent in mounts), "")
    return nearest in _IN_MEMORY
