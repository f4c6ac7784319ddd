"""What a person may ask of a job in units: plan it, do units of it, hand it to a cluster, finish it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.errors import Changed, OomguardError, Stopped
from oomguard.preparation.cluster.finishing import ShardsLaidOut, finish, finish_share
from oomguard.preparation.cluster.job_file import JobFile, job_digest, job_within, read_job, shown_path, write_job
from oomguard.preparation.cluster.job_place import place_of
from oomguard.preparation.cluster.planning import plan_job
from oomguard.preparation.cluster.unit_queue import Share, UnitsDone, do_units, unit_line
from oomguard.preparation.cluster.unit_work import UnitResult, do_unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oomguard.preparation.options import PrepareOptions

__all__ = [
    "JobFile",
    "ShardsLaidOut",
    "Share",
    "UnitResult",
    "UnitsDone",
    "finish",
    "finish_share",
    "plan_to",
    "plan_within",
    "read_job",
    "unit_line",
    "work",
]


def plan_to(path: Path, options: PrepareOptions, *, unit_bytes: int | None = None) -> JobFile:
    """Plan a job and write it to a new file. Raises: BadInput if the file exists; OomguardError as `prepare` does."""
    return write_job(plan_job(options, unit_bytes=unit_bytes), path)


def plan_within(options: PrepareOptions, *, unit_bytes: int | None = None) -> tuple[JobFile, Path]:
    """Plan a job into its output folder, or resume the same one that is there.

    Raises: Changed if another one is; OomguardError as `prepare` does.
    """
    path = job_within(options.out)
    job = read_job(path) if place_of(path).exists() else None
    planned = plan_job(options, unit_bytes=unit_bytes, known=() if job is None else job.sources)
    if job is None:
        return write_job(planned, path), path
    if job.sha256 != job_digest(planned):
        raise Changed(
            f"{shown_path(path)}: the job that was begun there has other inputs or options",
            do=f"another --out FOLDER; or to continue that job: oomguard prepare --job {shown_path(path)}",
        )
    return job, path


def work(
    path: Path,
    unit: int | None,
    share: Share,
    *,
    workers: int | None = None,
    after_each: Callable[[UnitResult], None] = lambda _: None,
) -> UnitsDone:
    """Do one unit, or all that nobody has done or has in hand. Failures are in the result.

    Raises: Stopped on a signal; BadInput if the job cannot be worked on here at all.
    """
    job = read_job(path)
    job.require_same_folder()
    result = UnitsDone(is_finished=job.is_finished)
    if result.is_finished:
        return result
    if unit is None:
        return do_units(job, share, workers=workers, after_each=after_each)
    try:
        result.done.append(do_unit(job, unit, workers=workers))
        after_each(result.done[0])
    except Stopped:
        raise
    except OomguardError as error:
        result.failures[unit] = error
    return result
