"""What was sampled of the memory of a tree of processes, and which line of code it grew in."""

from __future__ import annotations

from dataclasses import dataclass

LINES_KEPT = 20  # lines of a profile: those that held most


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """What one process held. Units: bytes; of pages that several share, the whole."""

    pid: int
    anon: int
    shmem: int
    file: int
    swap: int

    @property
    def growing(self) -> int:
        """What a line of code makes grow: all but the file pages."""
        return self.anon + self.shmem + self.swap


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySample:
    """The tree at one moment. Units: seconds since the beginning, bytes."""

    seconds: float
    unreclaimable: int  # each page once, where `exact`; else an upper bound
    exact: bool
    cache: int | None  # page cache charged to the job; None: only a cgroup knows
    processes: tuple[ProcessMemory, ...]
    most: int | None = None  # the kernel's own high-water mark since the sample before, page cache in it
    charged: int | None = None  # what it says now
    filled: int | None = None  # what page faults since the sample before can have filled at most
    swap: int = 0  # of `unreclaimable`: swapped out, which a mark does not count

    @property
    def summed_rss(self) -> int:
        """Resident memory summed over the processes: shared pages count once for each."""
        return sum(process.anon + process.shmem + process.file for process in self.processes)

    @property
    def largest_process(self) -> int:
        """Resident memory of the largest process; pid 0 is many, put together, none of them the largest."""
        return max((each.anon + each.shmem + each.file for each in self.processes if each.pid), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownLine:
    """A line of code, and what of the peak had grown while it ran. Units: bytes."""

    file: str
    line: int  # 0: not a line of Python; `file` is the program
    function: str
    source: str
    grew_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownCall:
    """A line of code on the way to what grew."""

    file: str
    line: int  # 0: not a line of Python; `file` is the program
    function: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownStack:
    """A stack, outermost call first, and what of the peak had grown in it. Units: bytes."""

    number: int  # the same stack, the same number
    grew_bytes: int
    calls: tuple[GrownCall, ...]
