"""The files of a memory cgroup."""

from __future__ import annotations

import re
from typing import Literal

from oomguard.formats.mounts import parse_mountinfo
from oomguard.records import dataclass

# What the kernel writes about memory cgroups, version 1 and 2.
#
# Source: Linux Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; kernel/cgroup/cgroup.c,
# proc_cgroup_show(); mm/memcontrol.c, memory_stat_format().

_HUGE_PAGES = re.compile(r"^thp_(?:fault|collapse)_alloc ([0-9]{1,20})$", re.MULTILINE)
_NUMBER = re.compile(r"[0-9]{1,20}")  # bounded: int() refuses texts of more than 4300 digits

# v1 writes "no limit" as LONG_MAX rounded down to a page (9223372036854771712 with 4 KiB pages). No machine
# has 4 EiB, so this bound covers every page size.
_NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupMount:
    """One mounted cgroup hierarchy."""

    mount_point: str  # where it is mounted
    root: str  # the cgroup seen at the mount point: "/", or a container's own under a bind mount
    version: Literal[1, 2]
    controllers: frozenset[str]  # v1 only: which controllers this hierarchy carries; empty on v2
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStat:
    """What the pages charged to a memory cgroup, and to all cgroups below it, are. Units: bytes."""

    anon: int | None  # anonymous memory, each page once however many processes share it
    file: int | None  # page cache, which holds `shmem` too
    shmem: int | None  # tmpfs, /dev/shm and shared anonymous memory: in `file`, but nothing can reclaim it
    kernel: int | None  # stacks, page tables, slab ... ; None on v1 kernels without kmem accounting
    slab_reclaimable: int | None  # the part of `kernel` that is dentries, inodes and the like; None on v1
    sock: int | None  # network buffers, which v2 charges beside `kernel`; v1 charges them elsewhere
    swap: int | None = None  # swapped out, and charged no more; v2 says it in memory.swap.current
    page_faults: int | None = None  # since the cgroup was made, as is the next
    huge_pages: int | None = None  # that faults got, or khugepaged made; v1 does not say

    @property
    def unreclaimable(self) -> int | None:
        """Memory that the kernel can only get back by ending a process (or swapping it out).

        anon + shmem + kernel + sock - slab_reclaimable. Reclaimable slab is left out because it is cache:
        dentries, inodes and what page cache needs to be found and written go when memory is short, as page
        cache does. v1 does not say how much of its kernel memory that is, so there the sum is an upper bound:
        too high by about 3 % of the page cache (ext4's buffer heads; but 0.4 MiB in all after reading 3 GiB
        where the kernel uses large folios), and by 1.3 KiB for each small file that the job makes.
        None: the kernel did not say.
        """
        if self.anon is None:
            return None
        kernel = max(0, (self.kernel or 0) - (self.slab_reclaimable or 0))
        return self.anon + (self.shmem or 0) + kernel + (self.sock or 0)


def parse_proc_cgroup(text: str) -> dict[str, str]:
    """Read /proc/PID/cgroup: the cgroup a process is in, for each v1 controller; v2's under the key "".

    A named hierarchy without controllers has its key with "name=" ("name=systemd"). Raises: nothing.
    """
    cgroups: dict[str, str] = {}
    for line in text.split("\n"):  # not splitlines(): a cgroup's name may hold any character but this one
        parts = line.split(":", 2)
        if len(parts) == 3:
            path = parts[2].removesuffix(" (deleted)")
            cgroups |= dict.fromkeys(parts[1].split(","), path)
    return cgroups


def parse_cgroup_mounts(text: str) -> list[CgroupMount]:
    """Find the cgroup mounts in /proc/PID/mountinfo that no later mount hides. Raises: nothing."""
    return [
        CgroupMount(
            mount_point=mount.mount_point,
            root=mount.root,
            version=2 if mount.file_system == "cgroup2" else 1,
            controllers=mount.super_options - {"rw", "ro"} if mount.file_system == "cgroup" else frozenset(),
            read_only="ro" in mount.options or "ro" in mount.super_options,
        )
        for mount in parse_mountinfo(text)
        if mount.file_system in ("cgroup", "cgroup2")
    ]


def path_in_mount(cgroup: str, mount: CgroupMount) -> str | None:
    """Give the directory of `cgroup` in `mount`, or None if the mount does not show it.

    Both come from the same process's /proc, so a cgroup namespace shortens them alike: in a container
    "/" with root "/" is the container's own cgroup, and so is "/docker/1f" with root "/docker/1f".
    """
    root = mount.root.rstrip("/")
    if cgroup != root and not cgroup.startswith(root + "/"):
        return None
    below = cgroup[len(root) :].strip("/")
    if ".." in below.split("/"):
        return None  # outside of the namespace's root, and its name there is not told
    return f"{mount.mount_point.rstrip('/')}/{below}".rstrip("/") or "/"


def parse_limit(text: str) -> int | None:
    """Read a limit file, such as memory.max or memory.limit_in_bytes. None: no limit, or no number there."""
    number = _parse_number(text.strip())
    return None if number is None or number >= _NO_LIMIT else number


def parse_count(text: str, key: str | None = None) -> int | None:
    """Read the number after `key` in a file of "key number" lines; without a key, a file of one number.

    None: the kernel did not say.
    """
    if key is None:
        return _parse_number(text.strip())
    return _parse_table(text).get(key)


def parse_memory_stat_v2(text: str) -> MemoryStat:
    """Read cgroup v2's memory.stat, which already counts the cgroups below. Raises: nothing.

    Linux before 5.18 prints no `kernel`; the parts that it does print are summed instead.
    """
    stat = _parse_table(text)
    kernel = stat.get("kernel")
    if kernel is None and "kernel_stack" in stat:
        slab = stat.get("slab", stat.get("slab_reclaimable", 0) + stat.get("slab_unreclaimable", 0))
        kernel = slab + sum(stat.get(part, 0) for part in ("kernel_stack", "pagetables", "percpu"))
    return MemoryStat(
        anon=stat.get("anon"),
        file=stat.get("file"),
        shmem=stat.get("shmem"),
        kernel=kernel,
        slab_reclaimable=stat.get("slab_reclaimable"),
        sock=stat.get("sock"),
        page_faults=stat.get("pgfault"),
        huge_pages=parse_huge_pages(text),
    )


def parse_memory_stat_v1(text: str, kmem_usage: str = "") -> MemoryStat:
    """Read cgroup v1's memory.stat and the text of memory.kmem.usage_in_bytes beside it. Raises: nothing.

    The total_ keys are read, which count the cgroups below as memory.kmem.usage_in_bytes does.
    """
    stat = _parse_table(text)
    return MemoryStat(
        anon=stat.get("total_rss"),  # v1's "rss" is anonymous memory alone
        file=stat.get("total_cache"),
        shmem=stat.get("total_shmem"),
        kernel=_parse_number(kmem_usage.strip()),
        slab_reclaimable=None,
        sock=None,
        swap=stat.get("total_swap"),
        page_faults=stat.get("total_pgfault"),
    )


def parse_huge_pages(text: str) -> int | None:
    """Read how many huge pages were handed out, from v2's memory.stat, or for the whole machine from /proc/vmstat."""
    found = _HUGE_PAGES.findall(text)
    return sum(map(int, found)) if found else None


def parse_v1_hierarchical_limit(text: str) -> int | None:
    """Read the lowest limit of the cgroup and all above it, hidden ones too, out of v1's memory.stat."""
    limit = _parse_table(text).get("hierarchical_memory_limit")
    return None if limit is None or limit >= _NO_LIMIT else limit


def _parse_table(text: str) -> dict[str, int]:
    table: dict[str, int] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        number = _parse_number(value)
        if number is not None:
            table[key] = number
    return table


def _parse_number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


# What the kernel counts about kills for memory. Source: Linux mm/vmstat.c (oom_kill, 4.13); mm/memcontrol.c.


@dataclass(frozen=True, slots=True, kw_only=True)
class MemcgCounters:
    """A cgroup that is ours or above ours. Units: bytes. `oom_kills`: on v2 with those of the cgroups below."""

    name: str
    oom_kills: int
    limit: int | None
    peak: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OomCounters:
    """All counters. `machine_kills`: since boot, of all processes of the machine, containers too; None: not told."""

    machine_kills: int | None
    memcgs: tuple[MemcgCounters, ...]  # our own first
    in_container: bool
    batch_job: str | None  # Slurm's number of the job we run in
    in_kubernetes: bool
