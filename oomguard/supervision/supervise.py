"""Run a job in this process's place, as far as its terminal, signals and children go, under a budget."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oomguard.kernel.process import SignalFile
from oomguard.supervision.launch import start_job
from oomguard.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.supervision.model import RunOutcome
    from oomguard.supervision.options import RunEvents, RunOptions
    from oomguard.supervision.reaper import Program
    from oomguard.supervision.started_job import StartedJob


def supervise(
    options: RunOptions,
    events: RunEvents,
    *,
    program: Callable[[str], int] | None = None,
    explanation: str = "--max-rss",
    watch: Callable[[StartedJob], Callable[[], float]] | None = None,
) -> RunOutcome:
    """Run a job under its budget, and say what became of it.

    For a process that does nothing else: it becomes a subreaper and takes its signals. A program that has more to do
    calls oomguard.run(), which starts such a process. `program`: a job of ours, run in place of the command in a
    forked process, and told its budget (own_budget.accept_budget), which comes from where `explanation` says.
    `watch` makes, of the job that is about to begin, what is to sample it as well: a function that gives the seconds
    until it wants to be called again.
    Raises: CannotStart if there is no such command; MemcgUnavailable if `enforce` leaves no way to hold it;
    WorkerFailed if it was killed before it began.
    """
    signals = SignalFile(Supervisor.signals)
    try:
        started: Program = options.command if program is None else program
        job = start_job(started, options.request, mask=signals.mask_before)
        try:
            sample = watch(job) if watch is not None else None
            events.begins(job.enforcement)
            began = time.monotonic()
            job.begin(options.command[0], explanation)
            record = Supervisor(
                job,
                signals,
                events,
                began=began,
                on_limit=options.on_limit,
                grace_seconds=options.grace_seconds,
                swap_max=options.swap_max,
                wait_seconds=options.wait_seconds,
                watch=sample,
            ).run()
        except BaseException:
            job.abort()
            raise
        if record.left_behind and program is not None:
            job.backend.kill()  # helpers of our own that are just ending
            record.left_behind = 0
        from oomguard.supervision.conclude import make_outcome  # here, so that the command need not wait for it

        outcome = make_outcome(job, options.command, record)
        if record.left_behind:
            job.linger(options.report)
        else:
            job.reaper.finish()
            job.backend.close()
        return outcome
    finally:
        signals.close()
