"""How many CPUs this process may really use."""

from __future__ import annotations

import os
from pathlib import Path

from oomguard.kernel.cgroup.directory import read_kernel_text


def usable_cpus(root: Path = Path("/")) -> int:
    """Give the CPUs of the affinity mask, or fewer where a container has a CPU quota.

    Source: cgroup v2 cpu.max ("quota period"), v1 cpu.cfs_quota_us and cpu.cfs_period_us; in a container they
    are at the top of its own cgroup tree.
    """
    cpus = len(os.sched_getaffinity(0))
    v2 = (read_kernel_text(root / "sys/fs/cgroup/cpu.max") or "").split()
    v1_files = (root / f"sys/fs/cgroup/cpu/cpu.cfs_{name}_us" for name in ("quota", "period"))
    v1 = [(read_kernel_text(file) or "").strip() for file in v1_files]
    for quota in (v2, v1):
        if len(quota) == 2 and all(number.isdigit() for number in quota) and int(quota[1]):
            cpus = min(cpus, max(1, round(int(quota[0]) / int(quota[1]))))
    return cpus
