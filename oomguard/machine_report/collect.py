"""Read what the doctor judges; nothing is changed by it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from oomguard.diagnosis.killers import BY_IDENT, running_killers
from oomguard.kernel.cgroup.directory import cgroup_mounts, find_own_cgroup, find_own_memcg, read_kernel_text
from oomguard.kernel.logs.sources import survey_sources
from oomguard.kernel.machine import container_name, is_wsl, scheduler_job
from oomguard.machine_report.memory_facts import (
    read_memory_facts,
    read_oom_score_adj,
    read_stack_facts,
    read_ulimits,
)
from oomguard.machine_report.model import CgroupFacts, CgroupLimit, DoctorFacts, KillerFacts
from oomguard.machine_report.rules.limits import SETTINGS

if TYPE_CHECKING:
    from oomguard.kernel.cgroup.directory import MemcgDir
    from oomguard.machine_report.model import EnforcementFacts


# Read which cgroup this process is in, and what that one and those above it allow.


def read_cgroup_facts(root: Path) -> CgroupFacts:
    """Read all of it now. Raises: nothing."""
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


# Read which userspace killers run, and when each acts.


def read_killer_facts(root: Path) -> tuple[KillerFacts, ...]:
    """Read all of it now. Raises: nothing."""
    return tuple(_killer(name, root) for name in running_killers(root))


def _killer(name: str, root: Path) -> KillerFacts:
    killer = BY_IDENT[name]
    if killer.acts is None:
        return KillerFacts(name=name, acts="by its own rules")
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


def read_doctor_facts(enforcement: EnforcementFacts | None, root: Path = Path("/")) -> DoctorFacts:
    """Read all of it now; `enforcement` comes from the caller, who tried it or did not. Raises: nothing."""
    return DoctorFacts(
        memory=read_memory_facts(root),
        cgroup=read_cgroup_facts(root),
        enforcement=enforcement,
        stacks=read_stack_facts(root),
        logs=tuple(survey_sources(root)),
        killers=read_killer_facts(root),
        ulimits=read_ulimits(root),
        oom_score_adj=read_oom_score_adj(root),
        settings=_read_settings(root),
        container=container_name(root),
        scheduler=scheduler_job(),
        wsl=is_wsl(root),
    )


def _read_settings(root: Path) -> dict[str, int]:
    """The settings that are judged, by file; those that are not there, or no number, are left out."""
    texts = {setting.file: (read_kernel_text(root / setting.file) or "").strip() for setting in SETTINGS}
    return {file: int(text) for file, text in texts.items() if re.fullmatch(r"-?[0-9]{1,10}", text)}
