"""How a run ended: from the supervisor's record and its samples to the outcome."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.kernel.machine import read_available
from oomguard.supervision.model import STOPPED_CODE, RunOutcome

if TYPE_CHECKING:
    from oomguard.supervision.backends.base import Backend
    from oomguard.supervision.model import Snapshot, StoppedBy
    from oomguard.supervision.sampling import JobSamples, RunRecord
    from oomguard.supervision.started_job import StartedJob


def make_outcome(job: StartedJob, command: tuple[str, ...], record: RunRecord) -> RunOutcome:
    """Put together what became of `command`."""
    enforcement, samples, held = job.enforcement, record.samples, record.held
    code, stopped_by = _judge(record)
    outcome = RunOutcome(
        command=command,
        exit_code=code,
        stopped_by=stopped_by,
        enforced_by=enforcement.way,
        budget=job.backend.limits.budget,
        hard_limit=enforcement.hard_limit,
        peak_unreclaimable=samples.peak_unreclaimable,
        peak_with_cache=record.peak_with_cache,
        peak_shmem=samples.peak_shmem,
        largest_process=samples.largest or None,
        peak_at_most=samples.peak_at_most,
        wall_seconds=record.seconds,
        processes=tuple(samples.processes),
        oom_kills=record.oom_kills,
        victim=_name_victim(job.backend, record) if stopped_by == "kernel" else None,
        left_behind=record.left_behind,
        notes=tuple(enforcement.lines()),
    )
    if held is not None:
        return with_held(outcome, held, samples)
    if code == 0 or not outcome.processes:
        return outcome
    from oomguard.supervision.rules.advice import size_by_flag  # 5 ms, which a job that went well need not pay

    # A heap that was sized by the limit is full before the budget is met, and the program ends by itself.
    return replace(outcome, advice=tuple(size_by_flag(outcome.processes[:1], outcome.budget)))


def with_held(outcome: RunOutcome, held: Snapshot, samples: JobSamples) -> RunOutcome:
    """Add what was seen of the job while it was held, and what follows from that."""
    from oomguard.supervision.rules.advice import advise

    return replace(
        outcome,
        held_seconds=held.seconds,
        held_unreclaimable=held.unreclaimable,
        look_seconds=held.look_seconds,
        processes=held.processes,
        stacks=held.stacks,
        unread_stacks=held.unread,
        memory_maps=held.maps,
        inputs=held.inputs,
        files_in_memory=held.files_in_memory,
        grown=held.grown,
        grown_since=held.grown_since,
        advice=advise(held, samples.last_forecast(), machine_available=read_available()),
    )


def _judge(record: RunRecord) -> tuple[int, StoppedBy | None]:
    """The exit code, and who ended the job when it did not end by itself."""
    if record.stopped:
        return STOPPED_CODE, "budget"
    code = os.waitstatus_to_exitcode(record.status)
    code = code if code >= 0 else 128 - code
    if record.oom_kills and code != 0:
        return code, "kernel"
    if record.refused and code != 0:
        return code, "budget"  # it ended by itself, because of the budget
    return code, "signal" if code == 128 + os.WTERMSIG(record.status) and os.WIFSIGNALED(record.status) else None


def _name_victim(backend: Backend, record: RunRecord) -> str | None:
    """Whom the kernel killed, when it was faster: of the last sample's processes, the largest that is gone.

    The kernel takes the largest process, so this is right unless it grew within the last quarter of a second; the
    kernel log, where it may be read, would say it for certain. None: no sample was taken.
    """
    alive = set(backend.pids())
    gone = [process for process in record.samples.processes if process.pid not in alive]
    return f"{gone[0].name} (process {gone[0].pid})" if gone else None
