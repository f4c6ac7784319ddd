"""`oomguard prepare` with --job-only, --job and --cluster: a job that is planned, then done by many machines."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from oomguard.cli.cluster_engines import ClusterFlags, run_on_ray, run_on_slurm
from oomguard.cli.run_events import say
from oomguard.cli.showing import show
from oomguard.errors import BadInput
from oomguard.records import dataclass
from oomguard.units import format_size, parse_size

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.cluster.api import JobFile
    from oomguard.preparation.options import PrepareOptions


def run_planned(options: PrepareOptions, flags: ClusterFlags, max_rss: str | None, *, as_json: bool) -> None:
    """Plan the job, or read it, and hand it to a cluster. Raises: OomguardError."""
    if flags.job is not None and options.inputs:
        raise BadInput("--job has its inputs already", do="leave the inputs out, or --job")
    if flags.job_only:
        _plan(options, flags, as_json=as_json)
        return
    from oomguard.preparation.cluster.api import plan_within, read_job

    if flags.job is None:
        job, path = plan_within(options, unit_bytes=_unit_bytes(flags))
    else:
        job, path = read_job(flags.job), flags.job
    if flags.print_sbatch or flags.cluster == "slurm":
        run_on_slurm(job, path, flags, options.workers or 1, max_rss)
    elif flags.cluster == "ray":
        run_on_ray(job, path, flags, options.workers or 1, max_rss, as_json=as_json)
    else:
        _here(job, path, options, as_json=as_json)


def _plan(options: PrepareOptions, flags: ClusterFlags, *, as_json: bool) -> None:
    from oomguard.preparation.cluster.api import plan_to

    job = plan_to(flags.job_file, options, unit_bytes=_unit_bytes(flags))
    size = sum(source.size or 0 for source in job.sources)
    if as_json:
        show(_Planned(str(flags.job_file), job.sha256, len(job.units), size), as_json=True)
        return
    shown = replace(job, path=flags.job_file).shown
    for note in job.notes:
        say(f"note: {note}")
    print(f"{shown}: {len(job.units):,} units of {len(job.sources):,} files, {format_size(size)}")
    print(f"next, on as many machines as you like: oomguard work {shown}")
    print(f"then, on one: oomguard finish {shown}")


def _unit_bytes(flags: ClusterFlags) -> int | None:
    return None if flags.unit_size is None else max(1, parse_size(flags.unit_size))


def _here(job: JobFile, path: Path, options: PrepareOptions, *, as_json: bool) -> None:
    """On this machine alone, unit by unit."""
    from oomguard.preparation.cluster.api import Share, finish, work

    work(path, None, Share(), workers=options.workers).require_success()
    show(finish(job), as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Planned:
    job: str
    sha256: str
    units: int
    input_bytes: int

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return {"schema": "oomguard.planned_job/1", **asdict(self)}
