"""What was seen of a job while it was held at its budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oomguard.formats.proc import MemoryShare
    from oomguard.kernel.model import OpenInput, ProcessFacts, ProcessStack
    from oomguard.supervision.growth.model import GrownLine


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
