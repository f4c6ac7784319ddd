"""Read what a machine says of its memory and swap, and what this process hands on to a job: ulimits, its score."""

from __future__ import annotations

import os
import re
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

from oomguard.formats.meminfo import parse_meminfo_sizes, parse_pressure
from oomguard.formats.mounts import parse_mountinfo
from oomguard.formats.proc import parse_process_limits
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.machine import oom_kills_since_boot
from oomguard.machine_report.model import MemoryFacts, StackFacts, TmpfsFacts
from oomguard.swap.status import compressed_swap
from oomguard.swap.system.facts import has_capability, read_swaps, read_zswap

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


_CAP_SYS_PTRACE = 19  # include/uapi/linux/capability.h


def read_ulimits(root: Path) -> dict[str, int | None]:
    """The soft limits by the kernel's names; None: unlimited. Raises: nothing."""
    return parse_process_limits(read_kernel_text(root / "proc/self/limits") or "")


def read_oom_score_adj(root: Path) -> int | None:
    """How much sooner or later what is started here is killed than others. Raises: nothing."""
    score = (read_kernel_text(root / "proc/self/oom_score_adj") or "").strip()
    return int(score) if re.fullmatch(r"-?[0-9]{1,4}", score) else None


def read_stack_facts(root: Path) -> StackFacts:
    """Whether the stacks of Python jobs can be read. Raises: nothing."""
    scope = (read_kernel_text(root / "proc/sys/kernel/yama/ptrace_scope") or "").strip()
    readers = (("pystack", find_spec("pystack") is not None), ("py-spy", shutil.which("py-spy") is not None))
    return StackFacts(
        readers=tuple(name for name, there in readers if there),
        ptrace_scope=int(scope) if scope in ("0", "1", "2", "3") else None,
        may_trace_all=has_capability(_CAP_SYS_PTRACE, root=root),
    )
