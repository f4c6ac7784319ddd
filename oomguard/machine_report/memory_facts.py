"""Read what a machine says of its memory and swap."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oomguard.formats.meminfo import parse_meminfo_sizes, parse_pressure
from oomguard.formats.mounts import parse_mountinfo
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.logs.counters import oom_kills_since_boot
from oomguard.machine_report.model import MemoryFacts, TmpfsFacts
from oomguard.swap.system.facts import read_swaps, read_zswap
from oomguard.swap.system.holders import compressed_swap

if TYPE_CHECKING:
    from pathlib import Path

_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - checked, not used


def read_memory_facts(root: Path) -> MemoryFacts:
    """Read all of it now. Raises: nothing; what cannot be read is None."""
    sizes = parse_meminfo_sizes(read_kernel_text(root / "proc/meminfo") or "")
    overcommit = (read_kernel_text(root / "proc/sys/vm/overcommit_memory") or "").strip()
    return MemoryFacts(
        total=sizes.get("MemTotal"),
        available=sizes.get("MemAvailable"),
        areas=tuple(read_swaps(root)),
        zswap=read_zswap(root),
        compressed=tuple(compressed_swap(root)),
        overcommit=int(overcommit) if overcommit in ("0", "1", "2") else None,
        committed=sizes.get("Committed_AS"),
        commit_limit=sizes.get("CommitLimit"),
        pressure=parse_pressure(read_kernel_text(root / "proc/pressure/memory") or ""),
        oom_kills=oom_kills_since_boot(root),
        tmpfs=tuple(_tmpfs(root)),
    )


def _tmpfs(root: Path) -> list[TmpfsFacts]:
    found = []
    for mount in parse_mountinfo(read_kernel_text(root / "proc/self/mountinfo") or ""):
        if mount.file_system == "tmpfs" and mount.mount_point in _FOLDERS:
            try:
                space = os.statvfs(root / mount.mount_point.lstrip("/"))
            except OSError:
                continue
            size, free = space.f_blocks * space.f_frsize, space.f_bfree * space.f_frsize
            found.append(TmpfsFacts(mount_point=mount.mount_point, size=size, used=size - free))
    return found
