"""`oomguard profile -- COMMAND`: run it as `oomguard run` does, up to what is available, and record its memory."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import CannotStart, edge
from oomguard.profiling.high_water import clock_of
from oomguard.profiling.options import (
    Profiled,
    ProfileEvents,
    ProfileOptions,
    new_head,
    profile_of,
    profiled_run,
    recording_path,
)
from oomguard.profiling.recording_lines import why_stopped
from oomguard.profiling.watch import JobWatch, StageFile
from oomguard.supervision.options import Silence
from oomguard.supervision.supervise import supervise

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.supervision.started_job import StartedJob


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
        memcg = clock_of(job)
        of_job = head if memcg is None else replace(head, tier=job.enforcement.way, exact_mark=memcg.is_exact)
        watched = JobWatch(of_job, path, pids=job.backend.pids, clock=memcg, stages=stages, began=clock)
        made.append(watched)
        events.begins(path, of_job.tier)
        return watched.look

    try:
        run = profiled_run(options.command, options.enforce, head.available)
        outcome = supervise(run, Silence(), watch=watch)
        made[0].end(outcome.exit_code, stopped=why_stopped(outcome, head.available))
    except CannotStart:
        for watched in made:
            watched.discard()
        raise
    finally:
        stages.close()
    return profile_of(made[0].events(), path, outcome.exit_code)
