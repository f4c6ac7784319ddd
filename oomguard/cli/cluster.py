"""`oomguard prepare` with --job-only, --job and --cluster: a job that is planned, then done by many machines."""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from oomguard.cli.run_events import say
from oomguard.cli.showing import show
from oomguard.errors import BadInput, Changed
from oomguard.supervision.options import read_budget
from oomguard.text import printable
from oomguard.units import format_size, parse_size

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.cluster.ray_tasks import ClusterState
    from oomguard.preparation.options import PrepareOptions

_EVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFlags:
    """What was asked of clusters."""

    job: Path | None
    job_only: bool
    job_file: Path
    unit_size: str | None
    cluster: str | None
    tasks: int | None
    ray_address: str | None
    slurm_args: str | None
    print_sbatch: bool

    @property
    def leaves_this_machine(self) -> bool:
        """Whether nothing is encoded in this process, which then needs no budget."""
        return self.job_only or self.cluster is not None or self.print_sbatch


def run_planned(options: PrepareOptions, flags: ClusterFlags, max_rss: str | None, *, as_json: bool) -> None:
    """Plan the job, or read it, and hand it to a cluster. Raises: OomguardError."""
    if flags.job is not None and options.inputs:
        raise BadInput("--job has its inputs already", do="leave the inputs out, or --job")
    if flags.job_only:
        _plan(options, flags, flags.job_file, as_json=as_json)
        return
    path = flags.job
    if path is None:
        path = options.out / ".oomguard" / "job.json"
        _plan_once(options, flags, path)
    from oomguard.preparation.cluster.job_file import read_job

    job = read_job(path)
    if flags.print_sbatch or flags.cluster == "slurm":
        _slurm(job, path, flags, options, max_rss)
    elif flags.cluster == "ray":
        _ray(job, path, flags, options, max_rss, as_json=as_json)
    else:
        _here(job, options, as_json=as_json)


def _plan(options: PrepareOptions, flags: ClusterFlags, path: Path, *, as_json: bool) -> None:
    from oomguard.preparation.cluster.job_file import plan_job, write_job

    job = write_job(plan_job(options, **_unit_size(flags)), path)
    size = sum(source.size or 0 for source in job.sources)
    if as_json:
        show(_Planned(str(path), job.sha256, len(job.units), size), as_json=True)
        return
    shown = shlex.quote(printable(str(path)))
    for note in job.notes:
        say(f"note: {note}")
    print(f"{shown}: {len(job.units):,} units of {len(job.sources):,} files, {format_size(size)}")
    print(f"next, on as many machines as you like: oomguard work {shown}")
    print(f"then, on one: oomguard finish {shown}")


def _plan_once(options: PrepareOptions, flags: ClusterFlags, path: Path) -> None:
    """Plan into the output folder; the same command again goes on with what it planned."""
    from oomguard.preparation.cluster.job_file import job_digest, plan_job, read_job, write_job

    planned = plan_job(options, **_unit_size(flags))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_job(planned, path)
    elif read_job(path).sha256 != job_digest(planned):
        raise Changed(
            f"{printable(str(path))}: the job that was begun there has other inputs or options",
            do=f"another --out FOLDER; or to go on with that job: oomguard prepare --job {path}",
        )


def _unit_size(flags: ClusterFlags) -> dict[str, int]:
    return {} if flags.unit_size is None else {"unit_bytes": max(1, parse_size(flags.unit_size))}


def _task_budget(max_rss: str | None) -> int:
    if max_rss is None:
        raise BadInput("--cluster needs a budget for each task", do="--max-rss 2G")
    return read_budget(max_rss)


def _slurm(job: JobFile, path: Path, flags: ClusterFlags, options: PrepareOptions, max_rss: str | None) -> None:
    from oomguard.preparation.cluster.slurm_array import SlurmOptions, sbatch_commands, submit

    asked = SlurmOptions(
        max_rss=_task_budget(max_rss),
        workers=options.workers or 1,
        elements=flags.tasks,
        arguments=tuple(shlex.split(flags.slurm_args or "")),
    )
    if flags.print_sbatch:
        work, finish = (shlex.join(command) for command in sbatch_commands(job, path, asked))
        print(f"ARRAY=$({work})")
        print(finish.replace("afterany:ARRAY", 'afterany:"$ARRAY"'))
        return
    done = submit(job, path, asked)
    print(f"Slurm job {done.array}: {done.elements:,} elements for {len(job.missing()):,} units")
    print(f"Slurm job {done.finish}: lays out the shards when they have ended")
    print(f"next: squeue -j {done.array},{done.finish}; logs are in {printable(str(job.parts))}")


def _ray(
    job: JobFile, path: Path, flags: ClusterFlags, options: PrepareOptions, max_rss: str | None, *, as_json: bool
) -> None:
    from oomguard.preparation.cluster.finishing import finish
    from oomguard.preparation.cluster.ray_tasks import RayOptions, run_on_ray

    asked = RayOptions(
        address=flags.ray_address, max_rss=_task_budget(max_rss), workers=options.workers or 1, tasks=flags.tasks
    )
    run_on_ray(job, path, asked, on_state=_Progress(asked.max_rss))
    show(finish(job), as_json=as_json)


def _here(job: JobFile, options: PrepareOptions, *, as_json: bool) -> None:
    """On this machine alone, unit by unit."""
    from oomguard.preparation.cluster.finishing import finish
    from oomguard.preparation.cluster.unit_queue import do_units

    do_units(job, workers=options.workers).require_success()
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


class _Progress:
    """A line every two seconds where something changed."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._began = self._said_at = time.monotonic()
        self._said = ""

    def __call__(self, state: ClusterState) -> None:
        now = time.monotonic()
        if now - self._said_at < _EVERY_SECONDS and state.done < state.units:
            return
        self._said_at = now
        rate = format_size(state.input_bytes / max(now - self._began, 0.001))
        line = (
            f"{state.done:,} of {state.units:,} units, {state.running} running on {len(state.nodes)} nodes, {rate}/s, "
            f"memory at most {format_size(state.peak)} of {format_size(self._budget)}"
        )
        if state.slowest[0] >= 0:
            line += f", slowest unit {state.slowest[0]} ({state.slowest[1]:.0f} s)"
        if state.lost:
            line += f", {state.lost} tasks lost and done again"
        if state.failed:
            line += f", {state.failed} units failed"
        if line != self._said:
            say(line)
        self._said = line
