"""What processes hold: each for itself, and a tree of them, measured without a cgroup.

Measured (Linux 6.18, 2 cores): statm 14 us, status 28 us, smaps_rollup 320 us for 9 MB and 8.6 ms for each GB.

A forked child has the mappings of its parent at the same addresses. What both have there, and the child has for itself
alone, it has copied, by writing to it; also one that only reads Python's objects does, as each use of one counts its
references in it. Source: Linux Documentation/filesystems/proc.rst, /proc/PID/smaps.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_smaps_rollup, parse_status_memory
from oomguard.kernel.model import ProcessFacts
from oomguard.kernel.proc import ProcessTree, ProcFiles
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST_ARGUMENT = 200
_MOST_ARGUMENTS = 20
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_CPUS = os.cpu_count() or 1
# Since Linux 6.2 a process's counters are kept for each CPU, and /proc shows them up to this much too low:
# lib/ percpu_counter.c's batch on each CPU. It matters on large machines: 32 MiB with 64 CPUs.
_COUNTER_SLACK = max(32, 2 * _CPUS) * _CPUS * _PAGE_SIZE


def read_processes(pids: Iterable[int], *, exact: bool = True, root: Path = Path("/")) -> list[ProcessFacts]:
    """What each process holds now, the largest first; those that are gone, or are zombies, are left out.

    `exact` divides shared pages among the sharers, and costs 8.6 ms for each GB (smaps_rollup); without it, or
    where the kernel refuses that, shared pages count whole. Raises: nothing.
    """
    proc = ProcFiles(root)
    found = [facts for pid in pids if (facts := _read_process(pid, proc, exact=exact)) is not None]
    return sorted(found, key=lambda process: process.unreclaimable, reverse=True)


def _read_process(pid: int, proc: ProcFiles, *, exact: bool) -> ProcessFacts | None:
    stat = proc.stat(pid)
    status = parse_status_memory(proc.read(f"{pid}/status"))
    if stat is None or status.rss is None:
        return None
    share = parse_smaps_rollup(proc.read(f"{pid}/smaps_rollup")).unreclaimable if exact else None
    bound = status.unreclaimable_bound or 0
    return ProcessFacts(
        pid=pid,
        parent_pid=stat.parent_pid,
        name=stat.name,
        command=tuple(argument[:_LONGEST_ARGUMENT] for argument in proc.command(pid)[:_MOST_ARGUMENTS]),
        unreclaimable=bound if share is None else share,
        exact=share is not None,
        rss=status.rss,
        anon=status.rss_anon or 0,
        shmem=status.rss_shmem or 0,
        file=status.rss_file or 0,
        swap=status.swap or 0,
        peak_rss=status.peak_rss or status.rss,
    )


class TreeMemory:
    """The memory of a process and its descendants, read anew at each question.

    Files in /dev/shm that no process maps, and kernel memory, are in no process's account: a cgroup sees
    them, this does not.
    """

    def __init__(
        self,
        root_pid: int,
        *,
        exact_above: int = 0,
        with_root: bool = True,
        without: frozenset[int] = frozenset(),
        root: Path = Path("/"),
    ) -> None:
        """Measure the tree under `root_pid`, exactly when it may hold more than `exact_above` bytes."""
        self._exact_above = exact_above
        self._proc = ProcFiles(root)
        self._tree = ProcessTree(root_pid, with_root=with_root, without=without, root=root)

    def unreclaimable(self) -> int:
        """Anonymous, shared and swapped-out memory of the tree. Units: bytes.

        First the sum of RssAnon + RssShmem + VmSwap, which counts a page shared in the tree once for each
        process and so is an upper bound. Only when that passes `exact_above`: Pss_Anon + Pss_Shmem +
        SwapPss, where each page counts once. A process that may not be read that way keeps its bound.
        """
        bounds = self.bounds()
        bound = sum(bounds.values())
        if bound + len(bounds) * _COUNTER_SLACK <= self._exact_above:
            return bound
        return self.exact(bounds)

    def bounds(self) -> dict[int, int]:
        """For each process the upper bound of its share, as above. Units: bytes."""
        return {pid: self._bound(pid) for pid in self._tree.pids()}

    def exact(self, bounds: dict[int, int]) -> int:
        """The tree's memory, each page once. Units: bytes."""
        return sum(self._exact(pid) for pid in bounds)

    def mapped_shmem(self, pids: Iterable[int], *, exact: bool) -> int:
        """Shared memory and tmpfs files that the processes map, each page once if `exact`. Units: bytes."""
        if exact:
            return sum(parse_smaps_rollup(self._proc.read(f"{pid}/smaps_rollup")).pss_shmem or 0 for pid in pids)
        return sum(parse_status_memory(self._proc.read(f"{pid}/status")).rss_shmem or 0 for pid in pids)

    def largest_rss(self) -> int:
        """The resident memory of the largest single process, file pages included. Units: bytes."""
        return max(self._rss_of_each(), default=0)

    def summed_rss(self) -> int:
        """Resident memory summed over the tree: shared pages count once for each process. Units: bytes."""
        return sum(self._rss_of_each())

    def _rss_of_each(self) -> Iterable[int]:
        for pid in self._tree.pids():
            fields = self._proc.read(f"{pid}/statm").split()
            if len(fields) > 1:
                yield int(fields[1]) * _PAGE_SIZE

    def _bound(self, pid: int) -> int:
        return self._proc.unreclaimable_bound(pid) or 0

    def _exact(self, pid: int) -> int:
        exact = parse_smaps_rollup(self._proc.read(f"{pid}/smaps_rollup")).unreclaimable
        return self._bound(pid) if exact is None else exact  # asked anew: one that ended meanwhile holds nothing


# What forked children only share with the process they came from: its pages, until one of them writes to them.
#
# A page that n processes map is in each one's proportional share with 1/n of it (Pss). What a process maps, less its
# own share, is therefore what others have in their shares of pages that it maps too. Measured before and after, the
# difference is what came into the shares of new children; it holds for a parent of any size.
# Source: Linux fs/proc/task_mmu.c, smaps_account(); Documentation/filesystems/proc.rst.

_MOST_MEMBERS = 64


class ForkFamily:
    """A process, and all that share pages with it by a fork, as it is before the children that are to be counted.

    Where a member ends meanwhile, or new relatives come outside, the answer is too low, never too high.
    """

    def __init__(self, pid: int, root: Path = Path("/")) -> None:
        """Look at the family of `pid` as it is now."""
        self._proc = ProcFiles(root)
        self._shared_before = {each: self._shared(each) or 0 for each in self._members(pid, root)}

    @property
    def pids(self) -> list[int]:
        """Its members."""
        return list(self._shared_before)

    def shared_since(self) -> int:
        """What processes that came later have in their shares of pages that a member maps too. Units: bytes."""
        changes = [
            now - before for pid, before in self._shared_before.items() if (now := self._shared(pid)) is not None
        ]
        return max(0, sum(changes))

    def _shared(self, pid: int) -> int | None:
        """What it maps, less its share of that. None: it is gone, or may not be read."""
        rollup = parse_smaps_rollup(self._proc.read(f"{pid}/smaps_rollup"))
        status = parse_status_memory(self._proc.read(f"{pid}/status"))
        if rollup.anonymous is None or rollup.unreclaimable is None:
            return None
        return max(0, rollup.anonymous + (status.rss_shmem or 0) + (status.swap or 0) - rollup.unreclaimable)

    def _members(self, pid: int, root: Path) -> list[int]:
        """Those that run the same image, not only the same program: exec gives each its own auxiliary vector."""
        image, top = self._image(pid), pid
        if not image:
            return [pid]
        while (stat := self._proc.stat(top)) is not None and self._image(stat.parent_pid) == image:
            top = stat.parent_pid
        others = [each for each in ProcessTree(top, root=root).pids() if each != pid and self._image(each) == image]
        return [pid, *others[: _MOST_MEMBERS - 1]]

    def _image(self, pid: int) -> str:
        return self._proc.read(f"{pid}/auxv")


_MAPPING = re.compile(r"([0-9a-f]{1,16}-[0-9a-f]{1,16}) \S{4} ")
_SIZE = re.compile(r"(Anonymous|Private_Dirty): +([0-9]{1,18}) kB")
_MOST_CHILDREN = 8  # the largest; 8.6 ms for each GB
_LARGEST_SMAPS = 8 << 20


def read_copied(processes: Sequence[ProcessFacts], *, root: Path = Path("/")) -> int:
    """How much the largest of `processes` have copied of their parent, if that is one of them. Units: bytes.

    Too low rather than too high: of more than eight children, it is what eight have. Raises: nothing.
    """
    proc = ProcFiles(root)
    by_pid = {process.pid: process for process in processes}
    images = {process.pid: proc.read(f"{process.pid}/auxv") for process in processes[: 4 * _MOST_CHILDREN]}
    children = [
        process
        for process in processes
        if process.parent_pid in by_pid
        and images.get(process.pid)
        and images.get(process.pid) == images.get(process.parent_pid)  # exec gives each its own
    ]
    parents: dict[int, dict[str, tuple[int, int]]] = {}
    copied = 0
    for child in children[:_MOST_CHILDREN]:
        if child.parent_pid not in parents:
            parents[child.parent_pid] = _mappings(proc, child.parent_pid)
        theirs = parents[child.parent_pid]
        for where, (anonymous, private) in _mappings(proc, child.pid).items():
            copied += min(anonymous, private, theirs.get(where, (0, 0))[0])
    return copied


def _mappings(proc: ProcFiles, pid: int) -> dict[str, tuple[int, int]]:
    """Of each mapping, what is anonymous in it, and what is the process's alone."""
    found: dict[str, tuple[int, int]] = {}
    where, private = "", 0
    for line in proc.read(f"{pid}/smaps", _LARGEST_SMAPS).splitlines():
        if (size := _SIZE.match(line)) is not None:
            if size[1] == "Private_Dirty":  # it stands before the other
                private = int(size[2]) * KIB
            elif int(size[2]):
                found[where] = (int(size[2]) * KIB, private)
        elif (mapping := _MAPPING.match(line)) is not None:
            where, private = mapping[1], 0
    return found
