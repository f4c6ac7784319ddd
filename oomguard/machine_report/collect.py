"""Read what the doctor judges. Everything but the trial of enforcement only looks."""

from __future__ import annotations

import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from oomguard.diagnosis.killers import BY_IDENT
from oomguard.diagnosis.running_killers import running_killers
from oomguard.formats.meminfo import parse_meminfo_sizes
from oomguard.formats.mountinfo import parse_mountinfo
from oomguard.formats.pressure import parse_pressure
from oomguard.formats.proc.limits import parse_process_limits
from oomguard.kernel.cgroup.directory import cgroup_mounts, find_own_cgroup, find_own_memcg, read_kernel_text
from oomguard.kernel.logs.counters import oom_kills_since_boot
from oomguard.kernel.logs.sources import survey_sources
from oomguard.kernel.machine.container import container_name, is_wsl, scheduler_job
from oomguard.machine_report.model import (
    CgroupFacts,
    CgroupLimit,
    DoctorFacts,
    KillerFacts,
    MemoryFacts,
    StackFacts,
    TmpfsFacts,
)
from oomguard.swap.system.facts import has_capability, read_swaps, read_zswap
from oomguard.swap.system.holders import compressed_swap

if TYPE_CHECKING:
    from oomguard.kernel.cgroup.directory import MemcgDir
    from oomguard.machine_report.model import EnforcementFacts

_CAP_SYS_PTRACE = 19  # include/uapi/linux/capability.h
_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - looked at, not used


def read_doctor_facts(enforcement: EnforcementFacts | None, root: Path = Path("/")) -> DoctorFacts:
    """Read all of it now; `enforcement` was tried by the caller, or not. Raises: nothing."""
    score = (read_kernel_text(root / "proc/self/oom_score_adj") or "").strip()
    return DoctorFacts(
        memory=_memory(root),
        cgroup=_cgroup(root),
        enforcement=enforcement,
        stacks=_stacks(root),
        logs=tuple(survey_sources(root)),
        killers=tuple(_killer(name, root) for name in running_killers(root)),
        ulimits=parse_process_limits(read_kernel_text(root / "proc/self/limits") or ""),
        oom_score_adj=int(score) if re.fullmatch(r"-?[0-9]{1,4}", score) else None,
        container=container_name(root),
        scheduler=scheduler_job(),
        wsl=is_wsl(root),
    )


def _memory(root: Path) -> MemoryFacts:
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


def _cgroup(root: Path) -> CgroupFacts:
    own = find_own_cgroup(root)
    mounts = cgroup_mounts(root)
    layout: Literal["v1", "v2", "hybrid", "none"] = "none"
    if own is not None:
        has_both = own.version == 1 and any(mount.version == 2 for mount in mounts)
        layout = "v2" if own.version == 2 else "hybrid" if has_both else "v1"
    memcg = find_own_memcg(root)
    return CgroupFacts(
        layout=layout,
        read_only=own is not None and _is_read_only(own, root),
        levels=tuple(_level(each) for each in memcg.ancestors()) if memcg is not None else (),
        hidden_max=memcg.hidden_memory_max() if memcg is not None else None,
    )


def _is_read_only(own: MemcgDir, root: Path) -> bool:
    return any(
        mount.read_only and root / mount.mount_point.lstrip("/") == own.mount_point for mount in cgroup_mounts(root)
    )


def _level(memcg: MemcgDir) -> CgroupLimit:
    return CgroupLimit(
        name=memcg.name,
        memory_max=memcg.memory_max(),
        memory_high=memcg.memory_high(),
        swap_max=memcg.swap_max(),
        unreclaimable=memcg.unreclaimable(),
    )


def _stacks(root: Path) -> StackFacts:
    scope = (read_kernel_text(root / "proc/sys/kernel/yama/ptrace_scope") or "").strip()
    readers = (("pystack", find_spec("pystack") is not None), ("py-spy", shutil.which("py-spy") is not None))
    return StackFacts(
        readers=tuple(name for name, there in readers if there),
        ptrace_scope=int(scope) if scope in ("0", "1", "2", "3") else None,
        may_trace_all=has_capability(_CAP_SYS_PTRACE, root=root),
    )


def _killer(name: str, root: Path) -> KillerFacts:
    killer = BY_IDENT[name]
    if killer.acts is None:
        return KillerFacts(name=name, acts="by rules of its own")
    settings = _texts(root, killer.settings_files, killer.settings_folder)
    return KillerFacts(name=name, acts=killer.acts(_arguments_of(killer.comm, root), settings))


def _arguments_of(comm: str, root: Path) -> list[str]:
    for file in (root / "proc").glob("[0-9]*/comm"):
        if (read_kernel_text(file) or "").strip() == comm:
            return (read_kernel_text(file.with_name("cmdline")) or "").split("\0")[1:]
    return []


def _texts(root: Path, files: tuple[str, ...], drop_ins: str | None = None) -> str:
    """The settings in the order in which later ones win."""
    paths = [root / file for file in files]
    if drop_ins is not None:
        found = [path for top in ("usr/lib", "etc", "run") for path in (root / top / drop_ins).glob("*.conf")]
        paths += sorted(found, key=lambda path: path.name)
    return "\n".join(read_kernel_text(path) or "" for path in paths)
