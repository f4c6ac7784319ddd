"""The machine as a whole: how much memory and how many CPUs a new job may use, and the container around us."""

from __future__ import annotations

import os
from pathlib import Path

from oomguard.errors import NothingFound
from oomguard.formats.cgroup import parse_count
from oomguard.formats.proc import parse_meminfo
from oomguard.kernel.cgroup.directory import MemcgDir, find_own_memcg, read_kernel_text
from oomguard.records import dataclass
from oomguard.units import format_size

# How much memory a new job may really use: what the machine has left, and every cgroup above us.


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRoom:
    """What one memory limit still leaves. Units: bytes."""

    whose: str  # in words for people: "this machine's free memory", "the memory limit of cgroup /x (4.0 GiB)"
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What a new job may use now. Units: bytes."""

    available: int  # the least of `rooms`
    limited_by: str  # whose that is, in words for people
    machine_available: int
    rooms: tuple[LimitRoom, ...]  # the machine's first, then the own cgroup's and outwards


def read_headroom(root: Path = Path("/")) -> Headroom:
    """Read what is left now, of the machine and of each cgroup limit that holds for this process.

    A cgroup has left its limit less its unreclaimable memory: page cache in it would make room.
    Raises: NothingFound if /proc/meminfo does not say.
    """
    meminfo = parse_meminfo(read_kernel_text(root / "proc/meminfo") or "")
    machine = meminfo.available if meminfo.available is not None else meminfo.free
    if machine is None:
        raise NothingFound("/proc/meminfo does not say how much memory is available", do="mount -t proc proc /proc")
    own = find_own_memcg(root)
    limits = _limit_rooms(own) if own is not None else []
    rooms = (LimitRoom(whose="this machine's free memory", available=machine), *limits)
    tightest = min(rooms, key=lambda room: room.available)
    return Headroom(available=tightest.available, limited_by=tightest.whose, machine_available=machine, rooms=rooms)


def read_available() -> int | None:
    """What this process can still take. None: the machine does not say now, as without /proc."""
    try:
        return read_headroom().available
    except NothingFound:
        return None


def _limit_rooms(own: MemcgDir) -> list[LimitRoom]:
    rooms: list[LimitRoom] = []
    lowest_seen: int | None = None
    for memcg in own.ancestors():
        for limit, kind in ((memcg.memory_max(), "limit"), (memcg.memory_high(), "soft limit (memory.high)")):
            if limit is None:
                continue
            whose = f"the memory {kind} of cgroup {memcg.name} ({format_size(limit)})"
            rooms.append(_room(whose, limit, memcg))
            lowest_seen = limit if lowest_seen is None else min(lowest_seen, limit)
    hidden = own.hidden_memory_max()
    if hidden is not None and (lowest_seen is None or hidden < lowest_seen):
        # Its other users are as hidden as itself, so all that is known to be used there is our own part.
        rooms.append(_room(f"a memory limit above the visible cgroups ({format_size(hidden)})", hidden, own))
    return rooms


def _room(whose: str, limit: int, memcg: MemcgDir) -> LimitRoom:
    return LimitRoom(whose=whose, available=max(0, limit - (memcg.unreclaimable() or 0)))


# How many CPUs this process may really use.


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


# What this process is inside of: a container, a virtual Linux of Windows, a job of a scheduler.


def container_name(root: Path = Path("/")) -> str | None:
    """Name the kind of container around this process ("docker", "podman", "lxc", "kubernetes" ...), None if none.

    Source: the marks that each leaves; systemd, docs/CONTAINER_INTERFACE.md for /run/systemd/container.
    """
    named = (read_kernel_text(root / "run/systemd/container") or "").strip()
    cgroup = read_kernel_text(root / "proc/1/cgroup") or ""
    if "kubepods" in cgroup or (root / "var/run/secrets/kubernetes.io").exists():
        return "kubernetes"
    if named:
        return named[:40]
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists() or "/docker/" in cgroup:
        return "docker"
    return _name_in_environment(root)


def _name_in_environment(root: Path) -> str | None:
    """PID 1's container=, which its own root alone may read."""
    for variable in (read_kernel_text(root / "proc/1/environ") or "").split("\0"):
        if variable.startswith("container="):
            return variable.removeprefix("container=")[:40] or None
    return None


def scheduler_job(environment: dict[str, str] | None = None) -> str | None:
    """Name the batch job this process is part of, such as "Slurm job 4711"; None if it is none."""
    given = os.environ if environment is None else environment
    for variable, name in (
        ("SLURM_JOB_ID", "Slurm"), ("PBS_JOBID", "PBS"), ("LSB_JOBID", "LSF"), ("SGE_TASK_ID", "Grid Engine"),
    ):  # fmt: skip
        if variable in given:
            return f"{name} job {given[variable][:40]}"
    return None


def is_wsl(root: Path = Path("/")) -> bool:
    """Whether this Linux runs inside Windows (WSL), whose .wslconfig limits its memory."""
    return "microsoft" in (read_kernel_text(root / "proc/sys/kernel/osrelease") or "").lower()


def oom_kills_since_boot(root: Path = Path("/")) -> int | None:
    """How many processes the kernel has killed for memory since boot (Linux 4.13). None: it does not say."""
    return parse_count(read_kernel_text(root / "proc/vmstat") or "", "oom_kill")
