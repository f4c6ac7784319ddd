"""One look at a job's memory, whoever enforces its budget."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Units: bytes."""

    unreclaimable: int
    shmem: int  # the part of it that is tmpfs, /dev/shm and shared memory
    cache: int | None  # page cache charged to the job; None: only a cgroup knows
    exact: bool  # False: an upper bound
