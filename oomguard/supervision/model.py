"""What was sampled of a job, and what it held when it was stopped or held at its budget."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from oomguard.text import Drawn

if TYPE_CHECKING:
    from oomguard.formats.proc import MemoryShare
    from oomguard.kernel.model import OpenInput, ProcessFacts, ProcessStack

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every process stood still when this was read. Units: bytes, seconds."""

    seconds: float  # since the job began
    budget: int
    unreclaimable: int
    shmem: int  # of it, in tmpfs, /dev/shm and shared memory
    cache: int | None  # page cache beside it; None: only a cgroup knows
    processes: tuple[ProcessFacts, ...]  # the largest first
    stacks: tuple[ProcessStack, ...]  # of the largest process first; in each, the thread that works first
    unread: dict[int, str]  # the Python processes whose stack could not be read, and why
    maps: dict[int, tuple[MemoryShare, ...]]  # of the largest that run no Python: what holds their memory
    inputs: tuple[OpenInput, ...]
    files_in_memory: tuple[tuple[str, int], ...]  # files of the job's in tmpfs, with their sizes
    look_seconds: float  # how long it took to read all this
    grown: tuple[GrownLine, ...] = ()  # since half of the budget, where that was seen; the largest first
    grown_since: int = 0  # what the job had grown by since then
    copied: int = 0  # pages that forked children wrote to, and so have a copy of their own of


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Drawn):
    """A held job was let go, or ended. Sizes in bytes."""

    _screen: ClassVar[str] = "oomguard.supervision.screens:render_released"

    pid: int
    stopped: bool
    budget: int | None  # the new one; None when it was ended

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"schema": "oomguard.release/1", **asdict(self)}
