"""`oomguard profile -- COMMAND`: run it as `oomguard run` does, up to what is available, and record its memory."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import CannotStart, edge
from oomguard.kernel import safe_files
from oomguard.kernel.model import LEAST_BUDGET
from oomguard.profiling.high_water import MemcgClock
from oomguard.profiling.options import Profiled, ProfileEvents, ProfileOptions, new_head, recording_path
from oomguard.profiling.rules.rebuild import build_profile
from oomguard.profiling.watch import JobWatch, StageFile
from oomguard.supervision.backends.cgroup import CgroupBackend
from oomguard.supervision.options import RunOptions, Silence
from oomguard.supervision.supervise import supervise
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.supervision.launch import StartedJob
    from oomguard.supervision.model import RunOutcome
    from oomguard.supervision.options import Choice

_RESERVE, _RESERVE_PART = 48 * MIB, 64


@edge
def profile_command(options: ProfileOptions, events: ProfileEvents) -> Profiled:
    """Run a command in this process's place, as supervise() does, and record its memory.

    The machine is kept alive: a job that uses up what is available is frozen and ended, and the profile says so.
    Raises: what supervise() does; BadInput if the recording cannot be written.
    """
    command = options.shown or options.command
    head, clock = new_head(command), time.monotonic()
    path = recording_path(options, command)
    stages = StageFile(clock)
    os.environ[stages.variable] = stages.path  # for the job, which inherits it
    made: list[JobWatch] = []

    def watch(job: StartedJob) -> Callable[[], float]:
        memcg = _clock_of(job)
        of_job = head if memcg is None else replace(head, tier=job.enforcement.way, exact_mark=memcg.is_exact)
        watched = JobWatch(of_job, path, pids=job.backend.pids, clock=memcg, stages=stages, began=clock)
        made.append(watched)
        events.begins(path, of_job.tier)
        return watched.look

    try:
        run = _profiled_run(options.command, options.enforce, head.available)
        outcome = supervise(run, Silence(), watch=watch)
        made[0].end(outcome.exit_code, stopped=_why_stopped(outcome, head.available))
    except CannotStart:
        if path.is_file() and not path.is_symlink():  # /dev/null stays
            safe_files.unlink(path)  # there is nothing in it
        raise
    finally:
        stages.close()
    return Profiled(profile=build_profile(made[0].events()), recording=path, exit_code=outcome.exit_code)


def _profiled_run(command: tuple[str, ...], enforce: Choice, available: int) -> RunOptions:
    """Give the options of a run that may use what is available but for a reserve: the profiler has to live as well."""
    most = max(LEAST_BUDGET, available - max(_RESERVE, available // _RESERVE_PART))
    return RunOptions(command=command, max_rss=most, enforce=enforce, swap_max=None)


def _clock_of(job: StartedJob) -> MemcgClock | None:
    """The clock of the job's cgroup; None where it has none."""
    return MemcgClock(job.backend.memcg) if isinstance(job.backend, CgroupBackend) else None


def _why_stopped(outcome: RunOutcome, available: int) -> str:
    """Say why, for people; "" if it ended by itself."""
    if outcome.stopped_by == "budget":
        return f"ended at the {format_size(available)} that was available"
    return "OOM-killed by the kernel" if outcome.stopped_by == "kernel" else ""
