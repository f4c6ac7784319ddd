"""What the kernel prints about the cgroup whose limit was reached.

Source: Linux mm/memcontrol.c, mem_cgroup_print_oom_info(), mem_cgroup_print_oom_meminfo() and, for version 1,
mm/memcontrol-v1.c. The statistics are "name:numberKB" up to 5.2, memory.stat in bytes since.
"""

from __future__ import annotations

import re

from oomguard.formats.kernel_log.numbers import kib, number
from oomguard.formats.kernel_log.records import MemcgReport

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
