"""How much memory the page faults of a tree of processes can have brought: what no spike between two looks passed.

Anonymous memory comes by page faults alone. The kernel counts them for each process, and for the children that it has
waited for, so that a process which came and went is in its parent's number. Source: proc_pid_stat(5), fields 10 to 13;
thp_fault_alloc of /proc/vmstat.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.cgroup import parse_huge_pages
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.proc.files import ProcFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.formats.proc import ProcStat

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
