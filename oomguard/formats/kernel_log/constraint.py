"""What follows from a report of a kill, where no line of it says so: whose limit it was, how large a page is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from oomguard.formats.kernel_log.mem_info import MemcgReader, MemInfoReader
    from oomguard.formats.kernel_log.records import Constraint, MemInfo, Victim
    from oomguard.formats.kernel_log.task_table import TaskTableReader


# Which limit the OOM killer enforced: the machine's, a cgroup's, a cpuset's or a memory policy's.

_HIGHUSER = 0xD2  # __GFP_WAIT|IO|FS|HARDWALL|HIGHMEM before 4.6: memory for a process
_PRINTED: dict[str | None, Constraint] = {"CONSTRAINT_CPUSET": "cpuset", "CONSTRAINT_MEMORY_POLICY": "mempolicy"}
_PLENTY = 0.05  # of the memory free: the machine itself was not out of memory


class SaidInReport(Protocol):
    """The parts of a report that tell of its limit."""

    said_memcg: bool
    said_global: bool
    manual: bool
    panicked: bool
    no_victim: bool
    oom_memcg: str | None
    constraint_text: str | None
    gfp_mask: int | None
    gfp_flags: str | None
    order: int | None
    nodemask: str | None
    mems_allowed: str | None

    @property
    def memcg(self) -> MemcgReader:
        """The lines about a cgroup."""
        ...

    @property
    def mem_info(self) -> MemInfoReader:
        """The counters of the machine."""
        ...

    @property
    def trace(self) -> Sequence[str]:
        """The functions that were running."""
        ...


def infer_constraint(report: SaidInReport, mem_info: MemInfo | None) -> Constraint | None:
    """Decide from everything that the report says. None: it does not say.

    Linux 5.0 and 5.1 print CONSTRAINT_NONE for cgroups too, and a BPF policy prints what it likes, so a
    cgroup's name counts for more than the text.
    """
    if report.said_memcg or report.oom_memcg or report.memcg or _called("mem_cgroup_out_of_memory", report):
        return "memcg"
    if report.constraint_text in _PRINTED:
        return _PRINTED[report.constraint_text]
    if report.manual:
        return "global"
    if report.constraint_text is None and (bound := _bound_to_nodes(report, mem_info)):
        return bound
    return "global" if _is_global(report) else None


def _is_global(report: SaidInReport) -> bool:
    if report.constraint_text or report.said_global or report.panicked or report.no_victim:
        return True
    # Without a mask it was a page fault that could not be served, by whatever limit.
    return bool(report.gfp_mask) and (report.mem_info.complete or _called("__alloc_pages", report))


def _called(function: str, report: SaidInReport) -> bool:
    return any(name.startswith(function) for name in report.trace)


def _bound_to_nodes(report: SaidInReport, mem_info: MemInfo | None) -> Constraint | None:
    """Before 5.0 nothing says so: a node is full while others are empty, or the mask of nodes is not all of them."""
    nodes = {zone.node for zone in mem_info.zones if zone.node is not None} if mem_info else set()
    allowed, masked = _nodes(report.mems_allowed), _nodes(report.nodemask)
    if masked and allowed and masked < allowed:
        return "mempolicy"
    if not allowed and masked and masked < nodes:
        return "mempolicy"
    if allowed and len(nodes) > 1 and allowed < nodes:
        return "cpuset"
    if mem_info is None or len(nodes) < 2 or report.order != 0 or not _for_a_process(report):
        return None
    normal = [
        zone for zone in mem_info.zones if zone.name == "Normal" and zone.free is not None and zone.min is not None
    ]
    full = [zone for zone in normal if (zone.free or 0) < (zone.min or 0)]
    free, ram = mem_info.pages.get("free"), mem_info.ram_pages
    if len(full) == 1 and len(normal) > 1 and free and ram and free > _PLENTY * ram:
        return "mempolicy"
    return None


def _for_a_process(report: SaidInReport) -> bool:
    if report.gfp_flags:
        return "HIGHUSER" in report.gfp_flags
    return report.gfp_mask is not None and report.gfp_mask & _HIGHUSER == _HIGHUSER


def _nodes(text: str | None) -> set[int]:
    """Read a list such as "0,2-4", of at most 1024 nodes."""
    nodes: set[int] = set()
    for part in (text or "").split(",")[:1024]:
        first, _, last = part.partition("-")
        if first.isdigit() and len(first) <= 4 and (not last or (last.isdigit() and len(last) <= 4)):
            nodes.update(range(int(first), int(last or first) + 1))
    return nodes


# The page size of the machine that wrote a report: counted in pages, most of it means nothing without.

_SIZES = tuple(KIB << power for power in range(2, 9))  # 4 KiB to 256 KiB: what Linux has been built with
_BIG_PAGE = 64 * KIB


def infer_page_size(
    mem_info: MemInfoReader, tasks: TaskTableReader, victims: Iterable[Victim]
) -> tuple[int | None, str | None]:
    """Find the page size and say what from. (None, None): nothing in the report tells, and 4 KiB is likely.

    Never the size of the machine that reads the log.
    """
    if mem_info.first_block in _SIZES:
        return mem_info.first_block, "the smallest free block"
    for victim in victims:
        row = tasks.row_of(victim.pid)
        if row is not None and row.total_vm > 0 and victim.total_vm:
            size, rest = divmod(victim.total_vm, row.total_vm)
            if not rest and size in _SIZES:
                return size, f"total-vm of pid {victim.pid}, in kB and in pages"
    managed = mem_info.zones_managed()
    if managed and mem_info.ram_pages and mem_info.reserved_pages is not None:
        pages = mem_info.ram_pages - mem_info.reserved_pages
        near = [size for size in _SIZES if pages > 0 and 0.9 < managed / (pages * size) < 1.1]
        if near:
            return near[0], "what the zones manage, in kB and in pages"
    if len(tasks.pgtables_gcd_of) >= 3 and math.gcd(*tasks.pgtables_gcd_of) >= _BIG_PAGE:
        return _BIG_PAGE, "the sizes of page tables"
    return None, None
