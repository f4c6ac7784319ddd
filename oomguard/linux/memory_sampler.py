"""Samples of a tree of processes: in all, each page once, and of each process what kinds of memory it holds.

Measured (Linux 6.18, 2 cores): a cgroup's files 0.1 ms; status 28 us and the tree 40 us for each process; smaps_rollup
8.6 ms for each GB. So what is exact without a cgroup is read only where the cheap upper bound might be a new peak.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.smaps_rollup import parse_smaps_rollup, parse_status_memory
from oomguard.linux.proc_files import ProcFiles
from oomguard.results.memory_sample import MemorySample, ProcessMemory

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.linux.memcg_clock import MemcgClock

_EXACT_PART = 12  # exact looks take at most one part of so many of the time
_TRIES = 3  # while processes come and go
_CLOSE = 0.97  # of the peak: a bound so high may be a new one
_EACH_PROCESS_SECONDS = 0.25  # at rest, so often each process is looked at where a cgroup has the sum
_KEPT = 40  # processes in a sample; the rest are put together under pid 0
_SWITCH = 1 << 20

Processes = tuple[ProcessMemory, ...]


@dataclass(frozen=True, slots=True)
class _Sharing:
    """What processes were found to share. It becomes less as they write to it, and more only by fork or shared memory."""

    pids: list[int]
    bound: int  # each page once for each process that has it
    shmem: int
    shared_twice: int  # by how much that is too high

    def has(self, processes: Processes) -> bool:
        """Whether it holds for them still."""
        return self.pids == [one.pid for one in processes] and _shmem(processes) <= self.shmem + _SWITCH


class MemorySampler:
    """Looks at the processes that `pids` gives, and at their cgroup where there is one."""

    def __init__(
        self, pids: Callable[[], list[int]], clock: MemcgClock | None, *, began: float, root: Path = Path("/")
    ) -> None:
        """Times are counted from `began`, on the monotonic clock."""
        self._pids = pids
        self._clock = clock
        self._began = began
        self._proc = ProcFiles(root)
        self._peak = 0
        self._next_exact = 0.0
        self._known = _Sharing([], 0, 0, 0)
        self._processes: tuple[ProcessMemory, ...] = ()
        self._next_processes = 0.0
        self._last_unreclaimable = 0

    def look(self) -> MemorySample:
        """Take a sample now. Raises: nothing; processes that end meanwhile are left out."""
        now = time.monotonic()
        if self._clock is None:
            return self._look_at_processes(now)
        reading = self._clock.read()
        changed = abs(reading.unreclaimable - self._last_unreclaimable) > _SWITCH
        if changed or now >= self._next_processes:
            self._processes = self._read_all(self._pids())
            self._next_processes = now + _EACH_PROCESS_SECONDS
        self._last_unreclaimable = reading.unreclaimable
        return MemorySample(
            seconds=now - self._began,
            unreclaimable=reading.unreclaimable,
            exact=True,
            cache=reading.cache,
            processes=self._processes,
            most=reading.most,
            charged=reading.charged,
        )

    def _look_at_processes(self, now: float) -> MemorySample:
        processes = self._read_all(self._pids())
        known = self._known
        # The same processes, holding no more than when they were read exactly: nothing new to be seen.
        news = not known.has(processes) or _sum(processes) > known.bound + known.bound // 200
        if _sum(processes) >= _CLOSE * self._peak and news and now >= self._next_exact:
            began = time.thread_time()
            if (exact := self._read_exactly(processes)) is not None:
                self._known, processes = known, _ = exact
                self._peak = max(self._peak, known.bound - known.shared_twice)
            self._next_exact = now + _EXACT_PART * (time.thread_time() - began)
        return MemorySample(
            seconds=now - self._began,
            unreclaimable=max(0, _sum(processes) - known.shared_twice),
            exact=known.has(processes),
            cache=None,
            processes=_shortened(processes),
        )

    def _read_exactly(self, processes: Processes) -> tuple[_Sharing, Processes] | None:
        """What they share, and the processes as they were then. None: they came and went too fast to say."""
        for _ in range(_TRIES):
            shares = [parse_smaps_rollup(self._proc.read(f"{one.pid}/smaps_rollup")).unreclaimable for one in processes]
            after = self._read_all(self._pids())
            if [one.pid for one in processes] == [one.pid for one in after]:
                # One that may not be looked into counts as a whole.
                held = sum(
                    one.growing if share is None else share for one, share in zip(processes, shares, strict=True)
                )
                bound = max(_sum(processes), held)
                return _Sharing([one.pid for one in after], bound, _shmem(processes), bound - held), processes
            processes = after  # one of them took its share of the pages along
        return None

    def _read_all(self, pids: list[int]) -> tuple[ProcessMemory, ...]:
        return tuple(found for pid in pids if (found := self._read(pid)) is not None)

    def _read(self, pid: int) -> ProcessMemory | None:
        status = parse_status_memory(self._proc.read(f"{pid}/status"))
        if status.rss_anon is None:
            return None  # gone, or a zombie
        return ProcessMemory(pid, status.rss_anon, status.rss_shmem or 0, status.rss_file or 0, status.swap or 0)


def _sum(processes: Processes) -> int:
    return sum(process.growing for process in processes)


def _shmem(processes: Processes) -> int:
    return sum(process.shmem for process in processes)


def _shortened(processes: tuple[ProcessMemory, ...]) -> tuple[ProcessMemory, ...]:
    if len(processes) <= _KEPT:
        return processes
    largest = sorted(processes, key=lambda process: process.growing, reverse=True)
    rest = largest[_KEPT:]
    sums = (sum(getattr(process, kind) for process in rest) for kind in ("anon", "shmem", "file", "swap"))
    return (*largest[:_KEPT], ProcessMemory(0, *sums))


def measure_fill_rate(*, size: int = 16 << 20) -> float:
    """Bytes a second that one CPU of this machine can hand out as new memory, at most: what no sample can outrun.

    With huge pages, where programs may have them: numpy asks for them, and they are five times as fast.
    """
    import mmap

    best = 0.0
    for _ in range(3):
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            with suppress(OSError):  # a kernel without them
                memory.madvise(mmap.MADV_HUGEPAGE)
            began = time.perf_counter()
            for page in range(0, size, mmap.PAGESIZE):
                memory[page] = 1
            best = max(best, size / (time.perf_counter() - began))
    return best
