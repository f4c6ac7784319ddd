"""What the kernel prints of memory at a kill: of all nodes and zones, or of the cgroup at its limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.formats.kernel_log.records import MemcgReport, MemInfo, Zone
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Mapping


# Numbers of a log, which may hold anything: bounded before they are made, and never below zero.

_MOST = (1 << 64) - 1


def number(text: str | None) -> int | None:
    """Read a decimal number of at most 20 digits. None: there is none."""
    return None if text is None or len(text) > 20 else min(int(text), _MOST)


def kib(text: str | None) -> int | None:
    """Read what the kernel prints as "kB" and means as KiB, in bytes."""
    size = number(text)
    return None if size is None else size * KIB


def page_tables(size: int | None, total_vm: int | None) -> int | None:
    """Linux 5.1 to 5.7 prints bytes and calls them kB; page tables are never so large a part of what they map."""
    count = None if size is None else size // KIB
    if size is not None and count and total_vm and count % 4096 == 0 and size > total_vm // 16:
        return count
    return size


# The Mem-Info block: counters of the whole machine, then nodes, zones, free blocks, huge pages, swap.
#
# Source: Linux mm/show_mem.c (before 6.4 mm/page_alloc.c), show_free_areas() and __show_mem(), 2.6.26 to 6.18. Fields
# come and go between kernels, so "key:value" pairs are read whatever they are.

_BEGIN = re.compile(r"Mem-[Ii]nfo:")
_COUNTERS = re.compile(
    r"\s*(?:[Aa]ctive_anon|active_file|inactive_anon|inactive_file|unevictable|slab_reclaimable|mapped|free|kernel_misc_reclaimable"
    r"|sec_pagetables|isolated_anon|pagetables|[Aa]ctive|inactive|dirty)(?:\(\w+\))?:"
)
_COUNTER = re.compile(r"\b([A-Za-z][a-z_()-]{2,40}):([0-9]{1,20})(?![0-9kK])")
_SIZE = re.compile(r"([a-z][a-z_()]{2,40}):\s?([0-9]{1,20})[kK]B")
_NODE = re.compile(r"\s*Node ([0-9]{1,4}) (?:active_anon|active|inactive_anon):")
_ZONE = re.compile(r"\s*(?:Node ([0-9]{1,4}),? )?(DMA|DMA32|Normal|HighMem|Movable|Device) free:")
_BLOCKS = re.compile(r"\s*(?:Node ([0-9]{1,4}),? )?(DMA|DMA32|Normal|HighMem|Movable|Device): (?=[0-9])(.*)", re.DOTALL)
_BLOCK = re.compile(r"([0-9]{1,10})\*([0-9]{1,10})kB(?: \(([A-Z]{1,8})\))?")
_RESERVE = re.compile(r"\s*(?:lowmem_reserve|protections?)\[\]:((?: [0-9]{1,12}){1,10})")
_HUGE = re.compile(
    r"hugepages_total=([0-9]{1,12})\s+hugepages_free=([0-9]{1,12})\s+hugepages_surp=[0-9]+\s+hugepages_size=([0-9]{1,12})kB"
)
_SWAP = re.compile(r"\s*(Free|Total) swap\s*[=:]\s*([0-9]{1,20})kB")
_PAGES = re.compile(
    r"\s*([0-9]{1,20}) (?:pages (?:of )?)(RAM|reserved|HighMem|cma reserved|hwpoisoned|shared|non-shared|in swap cache)"
)
_RESERVED = re.compile(r"\s*([0-9]{1,20}) reserved pages")  # up to 2.6.26
_OTHER = re.compile(
    r"\s*(?:[0-9]{1,20} total pagecache pages|Swap cache stats:|CPU +[0-9]+: +hi:|(?:Node [0-9]+ )?\w+ per-cpu:|all_unreclaimable)"
)

_MOST_ZONES = 4096  # 1024 nodes of four
_MOST_COUNTERS = 128


class MemInfoReader:
    """Collects the lines of one block."""

    def __init__(self) -> None:
        self.begun = False
        self.pages: dict[str, int] = {}
        self.ram_pages: int | None = None
        self.reserved_pages: int | None = None
        self.first_block: int | None = None  # bytes: the page size
        self._zones: dict[tuple[int | None, str], dict[str, int | None]] = {}
        self._reserves: dict[tuple[int | None, str], tuple[int, ...]] = {}
        self._blocks: dict[tuple[int | None, str], tuple[tuple[int, int, str], ...]] = {}
        self._last_zone: tuple[int | None, str] | None = None
        self._kernel_stack = 0
        self._saw_stack = False
        self._huge: list[tuple[int, int, int]] = []
        self._swap: dict[str, int | None] = {}

    @property
    def complete(self) -> bool:
        """Whether its end was seen."""
        return self.ram_pages is not None

    def take(self, text: str, joined: str) -> bool:
        """Read a line if it is one of this block."""
        if _BEGIN.match(text.lstrip()):
            self.begun = True
            self._take_counters(joined)
        elif _COUNTERS.match(text) and not text.lstrip().startswith("free swap"):
            self._take_counters(joined)
        elif found := _ZONE.match(text):
            self._take_zone(_place(found), joined)
        elif found := _BLOCKS.match(joined):
            self._take_blocks(_place(found), found[3])
        elif found := _RESERVE.match(text):
            if self._last_zone is not None:
                self._reserves[self._last_zone] = tuple(map(int, found[1].split()))
        elif _NODE.match(text):
            self._take_node(joined)
        else:
            return self._take_totals(text, joined)
        return True

    def _take_totals(self, text: str, joined: str) -> bool:
        if "hugepages_total=" in text:
            for total, free, size in _HUGE.findall(joined)[:8]:
                if len(self._huge) < _MOST_ZONES:
                    self._huge.append((int(total), int(free), int(size) << 10))
        elif found := _SWAP.match(text):
            self._swap.setdefault(found[1], kib(found[2]))
        elif found := _PAGES.match(text):
            if found[2] == "RAM" and self.ram_pages is None:
                self.ram_pages = number(found[1])
            elif found[2] == "reserved" and self.reserved_pages is None:
                self.reserved_pages = number(found[1])
        elif found := _RESERVED.match(text):
            self.reserved_pages = number(found[1]) if self.reserved_pages is None else self.reserved_pages
        else:
            return bool(_OTHER.match(text))
        return True

    def _take_counters(self, joined: str) -> None:
        for name, pages in _COUNTER.findall(joined):
            if len(self.pages) < _MOST_COUNTERS:
                self.pages.setdefault(name.lower(), int(pages))  # 2.6.28 to 2.6.31: "Active_anon"

    def _take_zone(self, place: tuple[int | None, str], joined: str) -> None:
        self._last_zone = place
        if len(self._zones) < _MOST_ZONES:
            sizes = self._zones.setdefault(place, {})
            for name, size in _SIZE.findall(joined):
                sizes.setdefault(name, kib(size))
            if "kernel_stack" in sizes:
                self._add_stack(sizes["kernel_stack"])

    def _take_node(self, joined: str) -> None:
        if found := re.search(r"kernel_stack:\s?([0-9]{1,20})kB", joined):
            self._add_stack(kib(found[1]))

    def _add_stack(self, size: int | None) -> None:
        self._kernel_stack += size or 0
        self._saw_stack = True

    def _take_blocks(self, place: tuple[int | None, str], blocks: str) -> None:
        found = [(int(size) << 10, int(count), types) for count, size, types in _BLOCK.findall(blocks)[:32]]
        if found and len(self._blocks) < _MOST_ZONES:
            self.first_block = self.first_block or found[0][0]
            self._blocks.setdefault(place, tuple(found))

    def zones_managed(self) -> int | None:
        """What all zones together manage, in bytes, if they say so."""
        sizes = [zone.get("managed") for zone in self._zones.values()]
        return sum(size for size in sizes if size) or None

    def finish(self) -> MemInfo | None:
        """Give the block; None: nothing of it was there."""
        if not (self.pages or self._zones or self._swap or self.ram_pages):
            return None
        places = list(dict.fromkeys([*self._zones, *self._blocks]))
        return MemInfo(
            pages=dict(self.pages),
            zones=tuple(self._zone(place) for place in places),
            kernel_stack=self._kernel_stack if self._saw_stack else None,
            hugetlb=sum(total * size for total, _, size in self._huge) if self._huge else None,
            hugetlb_free=sum(free * size for _, free, size in self._huge) if self._huge else None,
            ram_pages=self.ram_pages,
            reserved_pages=self.reserved_pages,
            swap_total=self._swap.get("Total"),
            swap_free=self._swap.get("Free"),
        )

    def _zone(self, place: tuple[int | None, str]) -> Zone:
        sizes: Mapping[str, int | None] = self._zones.get(place, {})
        return Zone(
            node=place[0],
            name=place[1],
            free=sizes.get("free"),
            min=sizes.get("min"),
            low=sizes.get("low"),
            high=sizes.get("high"),
            present=sizes.get("present"),
            managed=sizes.get("managed"),
            free_cma=sizes.get("free_cma"),
            kernel_stack=sizes.get("kernel_stack"),
            pagetables=sizes.get("pagetables"),
            reserve=self._reserves.get(place, ()),
            free_blocks=self._blocks.get(place, ()),
        )


def _place(found: re.Match[str]) -> tuple[int | None, str]:
    return (int(found[1]) if found[1] else None, found[2])


# What the kernel prints about the cgroup whose limit was reached.
#
# Source: Linux mm/memcontrol.c, mem_cgroup_print_oom_info(), mem_cgroup_print_oom_meminfo() and, for version 1,
# mm/memcontrol-v1.c. The statistics are "name:numberKB" up to 5.2, memory.stat in bytes since.

_TASK_IN = re.compile(r"Task in (.*) killed as a result of limit of (.*)")
_USAGE = re.compile(
    r"(memory\+swap|memory|swap|kmem): usage ([0-9]{1,20})kB, limit ([0-9]{1,20})kB(?:, failcnt ([0-9]{1,20}))?"
)
_STATS_FOR = re.compile(r"Memory cgroup stats(?: for (.*?))?:(.*)", re.DOTALL)
_IN_KIB = re.compile(r"\b([a-z_]{2,40}):([0-9]{1,20})KB")
_IN_BYTES = re.compile(r"(?:^|\s)([a-z][a-z0-9_]{1,47}) ([0-9]{1,20})(?=\s|$)")
_ONE_STAT = re.compile(r"\s*([a-z][a-z0-9_]{1,47}) ([0-9]{1,20})\s*")
_MOST_KEYS = 256


class MemcgReader:
    """Collects the lines of one report."""

    def __init__(self) -> None:
        self.task_memcg: str | None = None
        self.limit_memcg: str | None = None
        self.stats_of: str | None = None
        self._sizes: dict[str, tuple[int | None, int | None]] = {}
        self._stat: dict[str, int] = {}
        self._in_stats = False

    def __bool__(self) -> bool:
        return bool(self._sizes or self._stat or self.limit_memcg)

    @property
    def has_usage(self) -> bool:
        """Whether the line with usage and limit was seen."""
        return "memory" in self._sizes

    def take(self, text: str, joined: str) -> bool:
        """Read a line if it is one of this block."""
        if found := _TASK_IN.search(joined):
            self.task_memcg, self.limit_memcg = found[1], found[2].strip()
        elif found := _USAGE.match(text.lstrip()):
            self._in_stats = False
            self._sizes.setdefault(found[1], (kib(found[2]), kib(found[3])))
        elif found := _STATS_FOR.match(joined):
            self._begin_stats(found)
        elif self._in_stats and _ONE_STAT.fullmatch(text):
            self._add_all(joined)
        else:
            self._in_stats = self._in_stats and not text.strip()
            return False
        return True

    def _begin_stats(self, found: re.Match[str]) -> None:
        self.stats_of = self.stats_of or found[1]
        self._in_stats = True
        for name, size in _IN_KIB.findall(found[2]):  # up to 5.2 one line for each cgroup below, without its children
            self._stat[name] = self._stat.get(name, 0) + (kib(size) or 0)
        self._add_all(found[2])

    def _add_all(self, text: str) -> None:
        for name, size in _IN_BYTES.findall(text):
            if len(self._stat) < _MOST_KEYS:
                self._stat.setdefault(name, number(size) or 0)

    def finish(self) -> MemcgReport | None:
        """Give the report; None: not a line of it was there."""
        if not self._sizes and not self._stat:
            return None
        none = (None, None)
        memory, swap = self._sizes.get("memory", none), self._sizes.get("swap", none)
        memsw, kmem = self._sizes.get("memory+swap", none), self._sizes.get("kmem", none)
        return MemcgReport(
            usage=memory[0], limit=memory[1], swap_usage=swap[0], swap_limit=swap[1], memsw_usage=memsw[0],
            memsw_limit=memsw[1], kmem_usage=kmem[0], kmem_limit=kmem[1], stat=dict(self._stat),
        )  # fmt: skip
