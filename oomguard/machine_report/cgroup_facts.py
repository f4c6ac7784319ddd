"""Read which cgroup this process is in, and what that one and those above it allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from oomguard.kernel.cgroup.directory import cgroup_mounts, find_own_cgroup, find_own_memcg
from oomguard.machine_report.model import CgroupFacts, CgroupLimit

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.kernel.cgroup.directory import MemcgDir


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
