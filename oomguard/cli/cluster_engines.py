"""A planned job on Slurm or Ray: flags in, one call, what it does shown."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.cli.prepare_progress import ClusterProgress
from oomguard.cli.showing import show
from oomguard.errors import BadInput
from oomguard.records import dataclass
from oomguard.supervision.options import read_budget
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.cluster.api import JobFile


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


def _task_budget(max_rss: str | None) -> int:
    if max_rss is None:
        raise BadInput("--cluster needs a budget for each task", do="--max-rss 2G")
    return read_budget(max_rss)


def run_on_slurm(job: JobFile, path: Path, flags: ClusterFlags, workers: int, max_rss: str | None) -> None:
    """Submit an array and what follows it, or show how. Raises: OomguardError."""
    from oomguard.preparation.cluster.slurm_array import SlurmOptions, logs_folder, sbatch_commands, submit

    asked = SlurmOptions(
        max_rss=_task_budget(max_rss),
        workers=workers,
        elements=flags.tasks,
        arguments=tuple(shlex.split(flags.slurm_args or "")),
    )
    if flags.print_sbatch:
        *before, finish = (shlex.join(command) for command in sbatch_commands(job, path, asked))
        for command in before:
            print("ARRAY=$(" + command.replace("afterany:ARRAY", 'afterany:"$ARRAY"') + ")")
        print(finish.replace("afterany:ARRAY", 'afterany:"$ARRAY"'))
        return
    done = submit(job, path, asked)
    print(f"Slurm job {done.array}: {done.elements:,} elements for {len(job.missing()):,} units")
    if done.shards is not None:
        print(f"Slurm job {done.shards}: writes the shards when they have ended")
    print(f"Slurm job {done.finish}: {'records' if done.shards else 'writes'} the shards when they have ended")
    numbers = ",".join(each for each in (done.array, done.shards, done.finish) if each)
    print(f"next: squeue -j {numbers}; logs are in {printable(str(logs_folder(job)))}")


def run_on_ray(
    job: JobFile, path: Path, flags: ClusterFlags, workers: int, max_rss: str | None, *, as_json: bool
) -> None:
    """Do the units as Ray tasks, then lay out the shards here. Raises: OomguardError."""
    from oomguard.preparation.cluster.api import finish
    from oomguard.preparation.cluster.ray_tasks import RayOptions, do_on_ray

    asked = RayOptions(address=flags.ray_address, max_rss=_task_budget(max_rss), workers=workers, tasks=flags.tasks)
    do_on_ray(job, path, asked, on_state=ClusterProgress(asked.max_rss))
    show(finish(job), as_json=as_json)
