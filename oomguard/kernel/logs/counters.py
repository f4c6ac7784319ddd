"""What the kernel counts where its log cannot be read: kills for memory, in each cgroup and in all."""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import islice
from pathlib import Path

from oomguard.formats.cgroup import MemcgCounters, OomCounters, parse_proc_cgroup
from oomguard.formats.kernel_log import UnitNotice
from oomguard.kernel.cgroup.directory import MemcgDir, cgroup_mounts, find_own_cgroup, read_kernel_text
from oomguard.kernel.logs.files import SYSTEM_PATH
from oomguard.kernel.machine import container_name, oom_kills_since_boot

_PATIENCE_SECONDS = 10
_MOST_UNITS = 64
_MOST_CGROUPS = 4096  # that are searched for this process


def read_oom_counters(root: Path = Path("/")) -> OomCounters:
    """Read what may be read without any right. Raises: nothing."""
    own = find_own_cgroup(root) or _find_above_the_namespace(root)
    memcgs = []
    for memcg in own.ancestors() if own is not None else ():
        kills = memcg.oom_kills()
        if kills is not None and not _is_machines_root(memcg):
            memcgs.append(
                MemcgCounters(name=memcg.name, oom_kills=kills, limit=memcg.memory_max(), peak=memcg.peak_charged())
            )
    return OomCounters(
        machine_kills=oom_kills_since_boot(root),
        memcgs=tuple(memcgs),
        in_container=_in_container(root, own),
        batch_job=os.environ.get("SLURM_JOB_ID"),
        in_kubernetes="KUBERNETES_SERVICE_HOST" in os.environ,
    )


def _find_above_the_namespace(root: Path) -> MemcgDir | None:
    """Find the own cgroup in a mount from outside of the cgroup namespace (unshare -C, without a mount of its own).

    /proc names neither the cgroup there nor those above, only how deep it is: "/../..". The kernel lists each of its
    processes under the number that it has here.
    """
    own_pid = str(os.getpid())
    cgroups = parse_proc_cgroup(read_kernel_text(root / "proc/self/cgroup") or "")
    for mount in cgroup_mounts(root):
        steps = mount.root.strip("/").split("/")
        if set(steps) != {".."} or (mount.version == 1 and "memory" not in mount.controllers):
            continue
        top = root / mount.mount_point.lstrip("/")
        below = cgroups.get("memory" if mount.version == 1 else "", "/").strip("/")
        for outer in _cgroups_below(top, len(steps)):
            path = outer / below
            if own_pid in (read_kernel_text(path / "cgroup.procs") or "").split():
                return MemcgDir(path, mount.version, top)
    return None


def _cgroups_below(top: Path, depth: int) -> list[Path]:
    """The cgroups so many levels below. Each holds dozens of files too: only folders are gone through and counted."""
    level, found = [top], 0
    for _ in range(depth):
        below: list[Path] = []
        for cgroup in level:
            try:
                with os.scandir(cgroup) as entries:
                    folders = (cgroup / entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
                    below += islice(folders, _MOST_CGROUPS - found - len(below))
            except OSError:  # it ended, or may not be read
                continue
        level, found = below, found + len(below)
    return level


def _is_machines_root(memcg: MemcgDir) -> bool:
    """Whether it is the root of all cgroups, and not one that a cgroup namespace (a container) shows as the root.

    On v2 the real root has no memory.max; on v1 it alone has a release_agent.
    """
    if memcg.path != memcg.mount_point:
        return False
    if memcg.version == 2:
        return memcg.read("memory.max") is None
    return memcg.read("release_agent") is not None


def _in_container(root: Path, own: MemcgDir | None) -> bool:
    """Also where nothing but the cgroup namespace tells it."""
    if container_name(root) is not None or "KUBERNETES_SERVICE_HOST" in os.environ:
        return True
    return own is not None and own.path == own.mount_point and not _is_machines_root(own)


def units_killed_for_memory() -> list[UnitNotice]:
    """Units that systemd, the system's or the user's own, says failed by it. Raises: nothing."""
    program = shutil.which("systemctl", path=SYSTEM_PATH)
    if program is None or not Path("/run/systemd/system").exists():
        return []
    found = []
    for scope in ("--system", "--user"):
        command = [program, scope, "show", "--state=failed", "--property=Id,Result,InactiveEnterTimestamp", "*"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        found += _read_units(told.stdout)
    return found[:_MOST_UNITS]


def _read_units(text: str) -> list[UnitNotice]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if fields.get("Result") == "oom-kill" and "Id" in fields:
            line = f"systemctl show: {fields['Id']}: Result=oom-kill, {fields.get('InactiveEnterTimestamp', '')}"
            found.append(UnitNotice(unit=fields["Id"], time=None, line=line.rstrip(", "), failed=True))
    return found
