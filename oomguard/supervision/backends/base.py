"""What holds a job to its budget: one protocol for cgroups, systemd scopes and polling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oomguard.supervision.options import Way
    from oomguard.supervision.rules.limits import JobLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """What a job holds at one moment. Units: bytes."""

    unreclaimable: int
    shmem: int  # the part of it that is tmpfs, /dev/shm and shared memory
    cache: int | None  # page cache charged to the job; None: only a cgroup knows
    exact: bool  # False: an upper bound
    likely: int | None = None  # what it holds by the last exact look, where that may be less than it holds by now

    @property
    def for_people(self) -> int:
        """What to call its memory: the budget is kept by the upper bound."""
        return self.unreclaimable if self.likely is None else self.likely


class Backend(Protocol):
    """Holds one job. It is open when it is made, and an adder puts processes in; close() ends it.

    Unless a method says otherwise, it raises nothing: a process that is gone needs nothing done to it.
    """

    limits: JobLimits
    caveats: tuple[str, ...]  # what this backend had to do otherwise than asked, for people

    @property
    def kind(self) -> Way:
        """Its name."""

    @property
    def cannot(self) -> str:
        """What it does not do, for people; "" if nothing is missing."""

    @property
    def cgroup(self) -> Path | None:
        """The memory cgroup that the job is in; None where it has none of its own."""

    def add(self, pid: int) -> None:
        """Take a process in, with all it starts later. Raises: OSError, LimitDidNotStick if it is not in then."""

    def wake_on(self) -> list[tuple[int, int]]:
        """Descriptors, each with its poll events, that tell of the limit."""

    def is_at_the_limit(self) -> bool:
        """Whether the kernel said, since the last time this was asked, that the limits hold the job up."""

    def read_memory(self, *, exact: bool = False) -> MemoryReading:
        """What the job holds now; without `exact` it may be an upper bound."""

    def peak_with_cache(self) -> int | None:
        """The kernel's high-water mark, page cache in it. None: it keeps none."""

    def take_mark(self) -> int | None:
        """That mark since this was asked last, where the kernel can set it back. None: it cannot."""

    def oom_kills(self, *, ended_by_sigkill: bool) -> int:
        """How many of the job's processes the kernel killed for memory.

        `ended_by_sigkill`: the command was ended so, which counts as evidence where the kernel gives no better.
        """

    def met_its_limit(self) -> bool:
        """Whether the kernel refused the job memory at its hard limit, without killing."""

    def swap_left(self) -> int:
        """How much more of the job may be swapped out. Units: bytes."""

    def pids(self) -> list[int]:
        """The job's processes."""

    def freeze(self) -> bool:
        """Stop every process where it is; False: one still runs, in a system call. Raises: OSError if refused."""

    def thaw(self) -> None:
        """Let them continue."""

    def plan_budget(self, budget: int) -> JobLimits:
        """The limits that set_budget() would set: less where less is allowed from above."""

    def set_budget(self, limits: JobLimits, *, swap_max: int | None) -> None:
        """Raise or lower the budget, and read it back. Raises: OSError; LimitDidNotStick."""

    def give_grace(self) -> None:
        """Give the job a little more, so that it can run the code that ends it."""

    def leave_to_the_kernel(self) -> None:
        """From now on nobody watches: let the kernel alone hold the limit."""

    def signal(self, number: int, only: Callable[[int], bool] = ...) -> None:
        """Send a signal to each process of the job, or to those of them that `only` names."""

    def kill(self) -> None:
        """SIGKILL all of it, frozen or not, and wait until nothing is left."""

    def take_over(self) -> None:
        """The reaper is gone: what was below it is below this process now."""

    def close(self) -> None:
        """Remove what was made for the job; what still has processes in it stays."""
