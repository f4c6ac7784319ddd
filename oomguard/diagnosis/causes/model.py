"""Why something was killed, where the memory was, and what to do: the parts of a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cause = Literal[
    "manual", "memcg", "cpuset", "mempolicy", "fragmentation", "low_zone", "false_alarm", "exhaustion", "unknown"
]
# What held the memory that ran out.
Filler = Literal[
    "anon", "shmem", "dirty", "cache", "kernel", "sock", "slab", "pagetables", "stacks", "hugetlb", "unaccounted"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of the memory. `within`: it is inside that part, shown below it and not added."""

    key: str
    label: str
    size: int  # bytes
    within: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """Where every byte was. Of the machine: `total` is what the kernel manages. Of a cgroup: its usage."""

    total: int
    shares: tuple[Share, ...]  # largest first, each followed by those within it
    unaccounted: int  # total - shares; more than what the kernel lists can be below 0
    free: int
    complete: bool = True  # False: counters that hold most of any machine's memory were not found in the report
    notes: tuple[str, ...] = ()

    def size_of(self, key: str) -> int:
        """The size of a part; 0 if it is not there."""
        return next((share.size for share in self.shares if share.key == key), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillCause:
    """The decision about one event. `why` and `room` are sentences for people."""

    kind: Cause
    why: str
    room: str
    filler: Filler | None
    accounting: Accounting | None
    limit: int | None = None  # of the cgroup, in bytes; None: none, or not told
    limit_owner: str | None = None  # the cgroup whose limit it was, in words
    ancestor: bool = False  # the limit was not the victim's own cgroup's
    certain: bool = True  # False: the report is too damaged to exclude others
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing to do. `command` is a line to paste, with capital words to be replaced."""

    text: str
    command: str | None = None
