"""The most that a tree can have held between two samples: by its cgroup's second clock, and by its page faults.

The mark is set back at each look: v1's memory.max_usage_in_bytes by writing to it, v2's memory.peak by writing to an
open descriptor, for that descriptor alone (since Linux 6.12). Where that is not possible, the mark since the beginning
tells of an interval only when it rose. What was swapped out is held as well, though no mark counts it.
Source: Linux Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst.

Anonymous memory comes by page faults alone. The kernel counts them for each process, and for the children that it has
waited for, so that a process which came and went is in its parent's number. Source: proc_pid_stat(5), fields 10 to 13;
thp_fault_alloc of /proc/vmstat.
"""

from __future__ import annotations

import mmap
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.cgroup import parse_count, parse_huge_pages
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.proc import ProcFiles
from oomguard.supervision.backends.cgroup import CgroupBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.formats.cgroup import MemoryStat
    from oomguard.formats.proc import ProcStat
    from oomguard.kernel.cgroup.directory import MemcgDir
    from oomguard.supervision.started_job import StartedJob


def _without_kernel(stat: MemoryStat) -> int | None:
    """v1 does not say what of its kernel memory is cache: 6 MB of buffer heads for a file of 200 MB, for instance."""
    return None if stat.anon is None else stat.anon + (stat.shmem or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemcgReading:
    """Units: bytes."""

    unreclaimable: int  # what was swapped out, too
    swap: int
    cache: int  # what the kernel can take back: page cache without shared memory, reclaimable slab (v1: all of kmem)
    charged: int | None
    most: int | None  # charged, since the reading before; None: not known
    filled: int | None = None  # what page faults since then can have filled at most; None: not known


class MemcgClock:
    """Reads one cgroup. close() it."""

    def __init__(self, memcg: MemcgDir, *, root: Path = Path("/")) -> None:
        """Begin to watch `memcg`."""
        self._memcg = memcg
        stat = memcg.memory_stat()
        self._sizes, self._faults = FaultSizes(root, stat.huge_pages), stat.page_faults or 0
        self._highest = 0  # where the mark cannot be set back
        self._peak_fd: int | None = None
        if memcg.version == 2:
            try:
                self._peak_fd = os.open(memcg.path / "memory.peak", os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                self._peak_fd = None  # before 5.19 there is none; before 6.12 it cannot be written
        self._resets = self._reset()
        if not self._resets:
            self._highest = memcg.peak_charged() or 0  # of before: a cgroup may be old

    @property
    def is_exact(self) -> bool:
        """Whether the mark tells of each interval."""
        return self._resets

    def read(self) -> MemcgReading:
        """Look now."""
        most = self._read_mark()
        self._reset()
        usage = "memory.current" if self._memcg.version == 2 else "memory.usage_in_bytes"
        charged = parse_count(self._memcg.read(usage) or "")
        stat, version = self._memcg.memory_stat(), self._memcg.version
        swap = stat.swap if version == 1 else parse_count(self._memcg.read("memory.swap.current") or "")
        return MemcgReading(
            unreclaimable=((stat.unreclaimable if version == 2 else _without_kernel(stat)) or 0) + (swap or 0),
            swap=swap or 0,
            cache=max(0, (stat.file or 0) - (stat.shmem or 0))
            + ((stat.slab_reclaimable if version == 2 else stat.kernel) or 0),
            charged=charged,
            most=most,
            filled=self._filled(stat),
        )

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._peak_fd is not None:
            os.close(self._peak_fd)
            self._peak_fd = None

    def _filled(self, stat: MemoryStat) -> int | None:
        """Anonymous memory comes by page faults alone: one page for each, or a huge one. Page cache mostly does not."""
        if stat.page_faults is None:
            return None
        faults, self._faults = stat.page_faults - self._faults, stat.page_faults
        return self._sizes.filled(faults, stat.huge_pages)

    def _read_mark(self) -> int | None:
        if self._memcg.version == 1 or self._peak_fd is None:
            mark = self._memcg.peak_charged()
        else:
            mark = parse_count(os.pread(self._peak_fd, 64, 0).decode("ascii", errors="replace"))
        if self._resets or mark is None:
            return mark
        rose, self._highest = mark > self._highest, max(mark, self._highest)
        return mark if rose else None

    def _reset(self) -> bool:
        try:
            if self._memcg.version == 1:
                fd = os.open(self._memcg.path / "memory.max_usage_in_bytes", os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.write(fd, b"0")
                finally:
                    os.close(fd)
            elif self._peak_fd is not None:
                os.pwrite(self._peak_fd, b"reset\n", 0)
            else:
                return False
        except OSError:
            return False
        return True


def clock_of(job: StartedJob) -> MemcgClock | None:
    """The clock of a job's cgroup; None where it has none."""
    return MemcgClock(job.backend.memcg) if isinstance(job.backend, CgroupBackend) else None


HUGE_PAGE = 2 << 20
_SIZES = "sys/kernel/mm/transparent_hugepage"


class TreeFaults:
    """Asked in order."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Count for the machine at `root`."""
        self._proc = ProcFiles(root)
        self._sizes = FaultSizes(root)
        self._own: dict[int, int] = {}
        self._of_children = 0
        self._parent = 0
        self._above: int | None = None

    def filled(self, stats: Sequence[ProcStat]) -> int | None:
        """The bytes that came since the last time, at most; `stats` of the whole tree, its root first, zombies too.

        None: there are processes that are not waited for, whose counts are lost. Raises: nothing.
        """
        self._parent = stats[0].parent_pid if stats else self._parent  # it outlives the tree, and waits for it
        above = self._proc.stat(self._parent)
        own = {stat.pid: stat.faults for stat in stats}
        above_now = above.faults_of_children if above else 0
        if self._above is None:
            self._of_children = self._above = above_now  # those of before are others'
        of_children = sum(stat.faults_of_children for stat in stats) + above_now
        gone = sum(faults for pid, faults in self._own.items() if pid not in own)
        faults = sum(own.values()) + of_children - sum(self._own.values()) - self._of_children
        moved = of_children - self._of_children
        self._own, self._of_children = own, of_children
        lost = moved < gone or faults < 0 or any(stat.ignores_children for stat in stats)
        return None if lost else self._sizes.filled(faults)


class FaultSizes:
    """What page faults brought. Asked in order."""

    def __init__(self, root: Path = Path("/"), huge_pages: int | None = None) -> None:
        """Look at the machine at `root`; `huge_pages` came until now, where the job's own are counted."""
        self._vmstat = root / "proc/vmstat"
        self._page = largest_fault(root)
        self._huge = self._count_huge_pages() if huge_pages is None else huge_pages

    def filled(self, faults: int, huge_pages: int | None = None) -> int:
        """The bytes of so many page faults, at most; `huge_pages` came until now, where they are counted."""
        if faults <= 0:
            return 0  # and what others did is not read: 0.1 ms
        huge = self._count_huge_pages() if huge_pages is None else huge_pages  # of the whole machine, so it is no less
        pages, self._huge = huge - self._huge, huge
        return min(faults * HUGE_PAGE, faults * self._page + pages * HUGE_PAGE)

    def _count_huge_pages(self) -> int:
        return parse_huge_pages(read_kernel_text(self._vmstat) or "") or 0


def largest_fault(root: Path = Path("/")) -> int:
    """The most bytes that one page fault may bring here, but for huge pages, which are counted."""
    largest = mmap.PAGESIZE
    inherited = _chosen(root / _SIZES / "enabled")
    for file in (root / _SIZES).glob("hugepages-*kB/enabled"):
        size = re.fullmatch(r"hugepages-([0-9]{1,9})kB", file.parent.name)
        chosen = _chosen(file)
        chosen = inherited if chosen == "inherit" else chosen
        if size is not None and chosen in ("always", "madvise") and int(size[1]) << 10 != HUGE_PAGE:
            largest = max(largest, int(size[1]) << 10)
    return largest


def _chosen(file: Path) -> str:
    match = re.search(r"\[(\w+)\]", read_kernel_text(file) or "")
    return match[1] if match is not None else ""
