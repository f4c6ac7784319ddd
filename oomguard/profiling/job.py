"""The job that is profiled, as supervision starts it: its budget, its cgroup, and why it was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.kernel.model import LEAST_BUDGET
from oomguard.profiling.cgroup_clock import MemcgClock
from oomguard.supervision.backends.cgroup import CgroupBackend
from oomguard.supervision.options import RunOptions
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from oomguard.supervision.launch import StartedJob
    from oomguard.supervision.model import RunOutcome
    from oomguard.supervision.rules.choice import Choice

_RESERVE, _RESERVE_PART = 48 * MIB, 64


def profiled_run(command: tuple[str, ...], enforce: Choice, available: int) -> RunOptions:
    """Give the options of a run that may use what is available but for a reserve: the profiler has to live as well."""
    most = max(LEAST_BUDGET, available - max(_RESERVE, available // _RESERVE_PART))
    return RunOptions(command=command, max_rss=most, enforce=enforce, swap_max=None)


def clock_of(job: StartedJob) -> MemcgClock | None:
    """The clock of the job's cgroup; None where it has none."""
    return MemcgClock(job.backend.memcg) if isinstance(job.backend, CgroupBackend) else None


def why_stopped(outcome: RunOutcome, available: int) -> str:
    """Say why, for people; "" if it ended by itself."""
    if outcome.stopped_by == "budget":
        return f"ended at the {format_size(available)} that were available"
    return "killed by the kernel for memory" if outcome.stopped_by == "kernel" else ""
