"""A memory cgroup for a job, with its supervisor outside: it is held at its budget, read, and raised or ended.

v2: memory.high slows the job down and tells by memory.events; memory.max lies above. v1: memory.oom_control = 1
parks a process in the very page fault that would pass the hard limit, and tells by an eventfd. Where v1 is beside a
v2 hierarchy, the job gets a cgroup there too, for its freezer and its cgroup.kill.
Source: Linux Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst (sections 9 and 10).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING

from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.limits import change_memory_max, try_memory_max
from oomguard.records import dataclass
from oomguard.supervision.backends.base import MemoryReading
from oomguard.supervision.backends.cgroup_events import LARGEST_FOLIO, CgroupEvents
from oomguard.supervision.backends.cgroup_members import CgroupMembers
from oomguard.supervision.rules.limits import JobLimits, plan_job_limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oomguard.kernel.model import LimitAbove
    from oomguard.supervision.options import Way


@dataclass(kw_only=True)
class CgroupBackend(CgroupMembers):
    """The cgroup of a job. Made empty; add() puts processes in."""

    kind: Way  # "cgroup v1", "cgroup v2", "systemd scope"
    limits: JobLimits
    caveats: tuple[str, ...]
    swap_max: int | None  # None: no limit
    undo: Callable[[], None]
    above: Callable[[], list[LimitAbove]]  # what holds for it from elsewhere, read anew
    keeps_itself: bool = False  # the job keeps its budget itself, and the kernel kills at the hard limit
    _events: CgroupEvents = field(init=False)
    _oom_kills_before: int = 0

    def __post_init__(self) -> None:
        """Ask to be told, and take what a reused cgroup counted before as zero."""
        self._oom_kills_before = self.memcg.oom_kills() or 0
        self._events = CgroupEvents(self.memcg, self.limits.budget, is_watched=not self.keeps_itself)

    @property
    def cgroup(self) -> Path:
        """Its directory."""
        return self.memcg.path

    @property
    def cannot(self) -> str:
        """What this enforcement does not do, for people."""
        if self.kind == "systemd scope" and os.getuid() != 0:
            return "systemd ends it with your last login session (loginctl enable-linger keeps it)"
        return ""

    def wake_on(self) -> list[tuple[int, int]]:
        """Descriptors, each with its poll events, that tell of the limit."""
        return self._events.wake_on()

    def is_at_the_limit(self) -> bool:
        """Whether the kernel said, since the last time this was asked, that the limits hold the job up."""
        return self._events.is_at_the_limit()

    def read_memory(self, *, exact: bool = False) -> MemoryReading:  # noqa: ARG002 - the kernel's own account always is
        """What the job holds now."""
        stat = self.memcg.memory_stat()
        return MemoryReading(
            unreclaimable=stat.unreclaimable or 0, shmem=stat.shmem or 0, cache=stat.file or 0, exact=True
        )

    def peak_with_cache(self) -> int | None:
        """The kernel's high-water mark, page cache in it; exact in time. None: v2 before Linux 5.19."""
        return self._events.highest()

    def take_mark(self) -> int | None:
        """That mark since this was asked last. None: v2 before Linux 6.12, which cannot set it back."""
        return self._events.take_mark()

    def oom_kills(self, *, ended_by_sigkill: bool) -> int:  # noqa: ARG002 - its own counter needs no second witness
        """How many of its processes the kernel killed for memory."""
        return (self.memcg.oom_kills() or 0) - self._oom_kills_before

    def met_its_limit(self) -> bool:
        """Whether it was charged as far as the hard limit, page cache counted in, where v1 refuses system calls memory.

        Not by memory.failcnt: Linux 6.18 does not count there. v2's kernel kills instead, and counts that.
        """
        return self.memcg.version == 1 and (self.peak_with_cache() or 0) >= self.limits.hard - LARGEST_FOLIO

    def swap_left(self) -> int:
        """How much more of the job may be swapped out: what its limit leaves, and the machine has. Units: bytes."""
        return self.memcg.swap_left(self.swap_max)

    def plan_budget(self, budget: int) -> JobLimits:
        """The limits that set_budget() would set: less where a cgroup above allows less."""
        return plan_job_limits(budget, self.above(), reserve=not self.keeps_itself)

    def set_budget(self, limits: JobLimits, *, swap_max: int | None) -> None:
        """Raise (or lower) the budget, and read it back. A job that holds more is killed by v2; v1 refuses.

        Raises: OSError as the kernel answers; LimitDidNotStick.
        """
        self.swap_max = swap_max
        change_memory_max(self.memcg, limits.hard, swap_max=swap_max)
        if self.memcg.version == 2 and not self.keeps_itself:
            cgroup_files.write_setting(self.memcg.path, "memory.high", limits.slow)
        self.limits = limits
        self._events.set_budget(limits.budget)

    def give_grace(self) -> None:
        """Give a reserve back, so that the job can run the code that ends it. Raises: nothing."""
        # A cgroup above may have no more: then it ends with what it has.
        if try_memory_max(self.memcg, self.limits.grace, swap_max=self.swap_max) and self.memcg.version == 2:
            with suppress(OSError):
                cgroup_files.write_setting(self.memcg.path, "memory.high", "max")

    def leave_to_the_kernel(self) -> None:
        """From now on nobody watches: let the kernel kill at the hard limit, and make nobody wait for ever."""
        try:
            if self.memcg.version == 1:
                cgroup_files.write_setting(self.memcg.path, "memory.oom_control", 0)
            else:
                cgroup_files.write_setting(self.memcg.path, "memory.high", "max")
        except OSError:
            return

    def take_over(self) -> None:
        """The reaper is gone: what is in the cgroup is in it all the same."""

    def close(self) -> None:
        """Remove the cgroup; one with processes in it stays. Raises: nothing."""
        self._events.close()
        if self.companion is not None:
            cgroup_files.remove_when_empty(self.companion)
        self.undo()
