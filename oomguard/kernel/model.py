"""What is seen of the machine, as plain facts: of processes and their stacks, of limits, logs and disks."""

from __future__ import annotations

from typing import Literal

from oomguard.records import dataclass
from oomguard.units import MIB

# A process that only starts needs about this: less is a typing mistake.
LEAST_BUDGET = MIB
# What the supervisor, the reaper and the reader of stacks hold while they read a job: measured 29 MiB, without the
# kernel's memory for them and the program text that must stay in memory.
SUPERVISOR_MEMORY = 40 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAbove:
    """A limit that holds for the job already. Units: bytes."""

    whose: str  # in words for people
    limit: int
    beside: int = (
        0  # of it, what is left to those outside of the job: SUPERVISOR_MEMORY, where the supervisor is under it too
    )

    @property
    def room(self) -> int:
        """What is left to the job; where the supervisor alone fills the limit, a process that only starts."""
        return max(self.limit - self.beside, min(self.limit, 2 * LEAST_BUDGET))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """A place where a kill may be told of. `unread`: why it was not read; `do`: what would make it readable."""

    name: str  # kmsg, journal, file, stdin
    what: str  # for people: the file, or "the journal of this boot"
    unread: str | None = None
    do: str | None = None
    named: bool = False  # by the user
    covers: str | None = None  # "this boot", "the boot before"; None: what the file holds


DiskKind = Literal["nvme", "ssd", "hdd", "card", "virtual", "loop", "memory", "network", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """The block device under a file system."""

    name: str  # "nvme0n1"; "" where no single device is behind it
    kind: DiskKind
    bytes_per_second: float  # reading, as measured; else what such disks usually do
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFrame:
    """One call. The texts are the process's own: hostile until shown through printable()."""

    file: str
    line: int
    function: str
    arguments: dict[str, str]  # name -> a short repr() of the value
    locals: dict[str, str]  # the other local variables, the same way
    source: str = ""  # the line's text, where its file is there to read


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStack:
    """The calls that one thread was in, innermost first."""

    pid: int
    thread: int
    language: str  # "python"
    frames: tuple[StackFrame, ...]
    read_by: str  # "pystack", "py-spy", "faulthandler"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInput:
    """A regular file that a process has open to read, and how far it is in it. Units: bytes."""

    pid: int
    path: str
    position: int  # of the file as it lies on disk: of a compressed one, compressed bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """One process of a tree. Units: bytes."""

    pid: int
    parent_pid: int
    name: str
    command: tuple[str, ...]
    unreclaimable: int  # its share: shared pages divided among the sharers, where `exact`
    exact: bool  # False: an upper bound, shared pages count whole
    rss: int
    anon: int
    shmem: int
    file: int  # page cache it maps: in `rss`, and never a reason to stop anything
    swap: int
    peak_rss: int
