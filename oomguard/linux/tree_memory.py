"""Measure a process tree's memory without a cgroup, from /proc; cheap enough for ten times a second.

Measured (Linux 6.18, 2 cores): statm 14 us, status 28 us, smaps_rollup 320 us for 9 MB and 8.6 ms for each
GB.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.smaps_rollup import parse_smaps_rollup, parse_status_memory

if TYPE_CHECKING:
    from collections.abc import Iterable

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_CPUS = os.cpu_count() or 1
# Since Linux 6.2 a process's counters are kept for each CPU, and /proc shows them up to this much too low:
# lib/ percpu_counter.c's batch on each CPU. It matters on large machines: 32 MiB with 64 CPUs.
_COUNTER_SLACK = max(32, 2 * _CPUS) * _CPUS * _PAGE_SIZE


class TreeMemory:
    """The memory of a process and its descendants, read anew at each question.

    A process whose parent has ended has left the tree (unless a subreaper in the tree took it over). Files
    in /dev/shm that no process maps, and kernel memory, are in no process's account: a cgroup sees them,
    this does not.
    """

    def __init__(self, root_pid: int, *, exact_above: int = 0, root: Path = Path("/")) -> None:
        """Measure the tree under `root_pid`, exactly when it may hold more than `exact_above` bytes."""
        self._root_pid = root_pid
        self._exact_above = exact_above
        self._proc = str(root / "proc")
        # Kernels without CONFIG_PROC_CHILDREN lack these files; then every process's parent is read instead.
        self._has_children_files = (root / f"proc/{root_pid}/task/{root_pid}/children").exists()

    def unreclaimable(self) -> int:
        """Anonymous, shared and swapped-out memory of the tree. Units: bytes.

        First the sum of RssAnon + RssShmem + VmSwap, which counts a page shared in the tree once for each
        process and so is an upper bound. Only when that passes `exact_above`: Pss_Anon + Pss_Shmem +
        SwapPss, where each page counts once. A process that may not be read that way keeps its bound.
        """
        bounds = {pid: self._bound(pid) for pid in self._pids()}
        bound = sum(bounds.values())
        if bound + len(bounds) * _COUNTER_SLACK <= self._exact_above:
            return bound
        return sum(self._exact(pid, bounds[pid]) for pid in bounds)

    def largest_rss(self) -> int:
        """The resident memory of the largest single process, file pages included. Units: bytes."""
        return max(self._rss_of_each(), default=0)

    def summed_rss(self) -> int:
        """Resident memory summed over the tree: shared pages count once for each process. Units: bytes."""
        return sum(self._rss_of_each())

    def _rss_of_each(self) -> Iterable[int]:
        for pid in self._pids():
            fields = self._read(f"{pid}/statm").split()
            if len(fields) > 1:
                yield int(fields[1]) * _PAGE_SIZE

    def _bound(self, pid: int) -> int:
        return parse_status_memory(self._read(f"{pid}/status")).unreclaimable_bound or 0

    def _exact(self, pid: int, bound: int) -> int:
        exact = parse_smaps_rollup(self._read(f"{pid}/smaps_rollup")).unreclaimable
        return bound if exact is None else exact

    def _pids(self) -> list[int]:
        """The root and its descendants; one that starts or ends meanwhile may be in it or not."""
        children_of = None if self._has_children_files else self._children_of_all()
        pids = {self._root_pid: None}  # a dict, as an ordered set: a reused pid must not make a ring
        to_ask = [self._root_pid]
        while to_ask:
            pid = to_ask.pop()
            children = self._children(pid) if children_of is None else children_of.get(pid, [])
            to_ask += [child for child in children if child not in pids]
            pids |= dict.fromkeys(children)
        return list(pids)

    def _children(self, pid: int) -> list[int]:
        """The children of all threads of `pid`."""
        children: list[int] = []
        for thread in self._names(f"{pid}/task"):
            children += [int(child) for child in self._read(f"{pid}/task/{thread}/children").split()]
        return children

    def _children_of_all(self) -> dict[int, list[int]]:
        children_of: dict[int, list[int]] = {}
        for name in self._names("."):
            if name.isdecimal():
                # "pid (name) state ppid ...", and the name may hold anything, ")" too
                after_name = self._read(f"{name}/stat").rpartition(")")[2].split()
                if len(after_name) > 1:
                    children_of.setdefault(int(after_name[1]), []).append(int(name))
        return children_of

    def _names(self, path: str) -> list[str]:
        try:
            return os.listdir(f"{self._proc}/{path}")  # noqa: PTH208 - names, not paths: this is called often
        except OSError:
            return []

    def _read(self, path: str) -> str:
        """A file's text; "" for a process that is gone or may not be read."""
        try:
            fd = os.open(f"{self._proc}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            return os.read(fd, 1 << 16).decode(errors="replace")
        except OSError:
            return ""
        finally:
            os.close(fd)
