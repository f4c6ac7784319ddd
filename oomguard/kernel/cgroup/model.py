"""A memory limit that holds for a job already, from a cgroup above it or from the machine."""

from __future__ import annotations

from dataclasses import dataclass

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
