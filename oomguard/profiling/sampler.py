"""Samples of a tree of processes: in all, each page once, and of each process what kinds of memory it holds.

Measured (Linux 6.18, 2 cores): a cgroup's files 0.1 ms; status 28 us and the tree 40 us for each process; smaps_rollup
8.6 ms for each GB. So without a cgroup an exact sample is taken now and then; between two of them what the processes
grew by is added: a new process counts as a fork, which has its parent's pages, until an exact sample says more.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_smaps_rollup, parse_status_memory
from oomguard.kernel.proc import ProcFiles
from oomguard.profiling.high_water import TreeFaults
from oomguard.supervision.model import MemorySample, ProcessMemory
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.proc import ProcStat
    from oomguard.profiling.high_water import MemcgClock

_EXACT_PART = 12  # exact samples take at most one part of so many of the time, while they tell something new,
_MOST_PATIENCE = 240  # and one of so many, when they do not
_NEWS_PART = 200
_TRIES = 3  # while processes come and go
_EACH_PROCESS_SECONDS = 0.25  # at rest, how often each process is sampled where a cgroup has the sum
_KEPT = 40  # processes in a sample; the rest are put together under pid 0
_SWITCH = 1 << 20
_MOST_REMEMBERED = 4000
_UNKNOWN = 1 << 62  # bytes
_SHORTEST = 0.005  # seconds
_LONGEST = 0.5
# Seconds without a change, and the longest step after them. At first a process that holds something for 0.2 s is seen.
_RESTING = ((120.0, _LONGEST), (30.0, 0.2), (0.0, 0.1))
_GROWTH = 1 * MIB
_GROWTH_PART = 256  # of what is held
_CALM_PART = 140  # a sample takes at most one part of so many of the time, while nothing grows
_BUSY_PART = 8
_CALM_SECONDS = 1.0
_CREDIT = 0.2  # seconds of CPU: what growth may cost before it is as dear as rest

Processes = tuple[ProcessMemory, ...]


class MemorySampler:
    """Samples the processes that `pids` gives, and their cgroup where there is one."""

    def __init__(
        self, pids: Callable[[], list[int]], clock: MemcgClock | None, *, began: float, root: Path = Path("/")
    ) -> None:
        """Times are counted from `began`, on the monotonic clock."""
        self._pids = pids
        self._clock = clock
        self._began = began
        self._proc = ProcFiles(root)
        self._faults = TreeFaults(root)
        self._last_pid = ""
        self._tree: list[int] = []
        self._last_read: dict[int, tuple[tuple[int, int, int, bool], ProcessMemory | None]] = {}
        self._exact_ended = self._exact_cost = 0.0
        self._patience = _EXACT_PART
        self._too_high = 0  # how much of the sum over the processes is counted twice
        self._known: set[int] = set()
        self._exact_pids: list[int] = []
        self._exact_sum = self._exact_shmem = 0
        self._filled_since = 0  # what page faults can have brought since then
        self._processes: Processes = ()
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
            self._processes = self._read_all(self._stats())
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
            filled=reading.filled,
            swap=reading.swap,
        )

    def _look_at_processes(self, now: float) -> MemorySample:
        stats = self._stats()
        filled = self._faults.filled(stats)  # first: what comes from now on is the next interval's
        self._filled_since += _UNKNOWN if filled is None else filled
        processes = self._read_all(stats)
        held = self._estimate(processes)
        if self._is_due(now, processes):
            began = time.thread_time()
            found = self._exact(processes)
            self._exact_ended, self._exact_cost = time.monotonic(), time.thread_time() - began
            if found is not None:
                processes, true = found
                self._learn(processes, true, surprise=abs(true - held))
                held = true
        return MemorySample(
            seconds=now - self._began,
            unreclaimable=held,
            exact=self._still_holds(processes),
            cache=None,
            processes=_shortened(processes),
            filled=filled,
        )

    def _still_holds(self, processes: Processes) -> bool:
        """Whether they share no more than they were found to: less by writing to it, more only by fork or mmap."""
        pids = [process.pid for process in processes]
        return pids == self._exact_pids and _shmem(processes) <= self._exact_shmem + _SWITCH

    def _estimate(self, processes: Processes) -> int:
        """What they hold, by what an exact sample found and what they grew by since."""
        self._too_high += sum(process.growing for process in processes if process.pid not in self._known)
        self._known |= {process.pid for process in processes}
        largest = max((process.growing for process in processes), default=0)
        return max(largest, _sum(processes) - self._too_high)

    def _is_due(self, now: float, processes: Processes) -> bool:
        """Whether an exact look may tell something new, and is not too dear.

        Also where no process grows: a fork that writes to its parent's pages gets its own, and its numbers stay. But
        each of those comes by a page fault.
        """
        others = [process.pid for process in processes] != self._exact_pids
        grown = _sum(processes) > self._exact_sum + self._exact_sum // _NEWS_PART
        parted = min(self._too_high, self._filled_since) > self._exact_sum // _NEWS_PART
        if not (others or grown or parted):
            return False
        part = _EXACT_PART if others else self._patience
        return now >= self._exact_ended + part * self._exact_cost

    def _learn(self, processes: Processes, held: int, *, surprise: int) -> None:
        self._exact_sum, self._exact_shmem = _sum(processes), _shmem(processes)
        self._too_high = self._exact_sum - held
        self._filled_since = 0
        self._exact_pids = [process.pid for process in processes]
        self._known = set(self._exact_pids)
        news = surprise > held // _NEWS_PART
        self._patience = _EXACT_PART if news else min(2 * self._patience, _MOST_PATIENCE)

    def _exact(self, processes: Processes) -> tuple[Processes, int] | None:
        """Each process's share of its pages, summed. None: one began or ended meanwhile, and took its share along."""
        for _ in range(_TRIES):
            shares = [parse_smaps_rollup(self._proc.read(f"{p.pid}/smaps_rollup")).unreclaimable for p in processes]
            after = self._read_all(self._stats())
            if [process.pid for process in processes] == [process.pid for process in after]:
                # One that may not be looked into counts as a whole.
                return after, sum(
                    process.growing if share is None else share
                    for process, share in zip(processes, shares, strict=True)
                )
            processes = after
        return None

    def _stats(self) -> list[ProcStat]:
        """All processes, zombies too. They are searched for again when a new pid was given out since."""
        last_pid = self._proc.read("loadavg").rpartition(" ")[2]
        if last_pid != self._last_pid or not last_pid:
            self._last_pid, self._tree = last_pid, self._pids()
        return [stat for pid in self._tree if (stat := self._proc.stat(pid)) is not None]

    def _read_all(self, stats: list[ProcStat]) -> Processes:
        return tuple(found for stat in stats if (found := self._read(stat)) is not None)

    def _read(self, stat: ProcStat) -> ProcessMemory | None:
        """What it holds; what was read before, where nothing was mapped or freed since."""
        state = (stat.start_ticks, stat.faults, stat.rss_pages, stat.state in "ZX")
        known = self._last_read.get(stat.pid)
        if known is None or known[0] != state:
            if len(self._last_read) > _MOST_REMEMBERED:
                self._last_read.clear()
            known = self._last_read[stat.pid] = (state, self._read_status(stat.pid))
        return known[1]

    def _read_status(self, pid: int) -> ProcessMemory | None:
        status = parse_status_memory(self._proc.read(f"{pid}/status"))
        if status.rss_anon is None:
            return None  # gone, or a zombie
        return ProcessMemory(pid, status.rss_anon, status.rss_shmem or 0, status.rss_file or 0, status.swap or 0)


def _sum(processes: Processes) -> int:
    """Of memory that several map at once, what the largest has of it: that they map it is not growth."""
    return sum(process.growing - process.shmem for process in processes) + max(
        (process.shmem for process in processes), default=0
    )


def _shmem(processes: Processes) -> int:
    return sum(process.shmem for process in processes)


def _shortened(processes: Processes) -> Processes:
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


@dataclass(slots=True)
class SamplingStep:
    """How long to wait until the next sample: short while memory grows, long while it rests, and never too dear."""

    step: float = _SHORTEST
    _last: int = 0
    _changed: float = 0.0
    _spent: float = 0.0  # seconds of CPU

    def after(self, unreclaimable: int, *, seconds: float, cost: float) -> float:
        """Give the seconds to wait, after a sample at `seconds` that took `cost` seconds of CPU."""
        change = abs(unreclaimable - self._last)
        self._last = unreclaimable
        if change > _GROWTH + unreclaimable // _GROWTH_PART:
            self._changed = seconds
            self.step = _SHORTEST
        else:
            rested = seconds - self._changed
            most = next(step for after, step in _RESTING if rested >= after)
            self.step = min(most, self.step * 1.5)
        # Whoever rests costs little: then a dear sample, of many processes, comes seldom. Whoever grows for hours, too.
        self._spent += cost
        calm = seconds - self._changed > _CALM_SECONDS or self._spent > _CREDIT + seconds / _CALM_PART
        part = _CALM_PART if calm else _BUSY_PART
        return min(_LONGEST, max(self.step, part * cost))
