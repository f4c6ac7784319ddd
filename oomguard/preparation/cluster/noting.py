"""All shards of a job written, whoever wrote them, and the manifest told of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from oomguard.errors import InUse
from oomguard.preparation.cluster.shard_shares import ShardWork
from oomguard.preparation.cluster.shard_table import shard_table
from oomguard.preparation.identity import identity
from oomguard.preparation.preconditions import require_free_names
from oomguard.preparation.writing.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.manifest import Progress


def lock(stack: ExitStack, job: Job) -> Manifest:
    """Open the manifest, which `stack` closes: meanwhile nobody else notes shards, or removes what they are made of.

    Raises: InUse if another run has it.
    """
    try:
        manifest = Manifest(job.options.out)
    except InUse as error:
        raise InUse(
            f"another oomguard finish is working in {job.options.out}",
            do="wait for it: it writes the same shards; then run it again",
        ) from error
    stack.callback(manifest.close)
    return manifest


def lay_out_all(
    job_file: JobFile, job: Job, manifest: Manifest, asked: Callable[[], str | None], *, keep_parts: bool
) -> None:
    """Write what shards are left, and tell the manifest of all.

    Raises: BadInput if a foreign file is among them; Changed if another job's shards are there; as ShardWork.write.
    """
    table = shard_table(job_file, job)
    work = ShardWork(job_file=job_file, job=job, table=table, asked=asked, keep_parts=keep_parts)
    work.write(table.shards)
    note_shards(manifest, job, job_file, work, work.receipts.lines())


def note_shards(manifest: Manifest, job: Job, job_file: JobFile, work: ShardWork, told: list[dict[str, Any]]) -> None:
    """Tell the manifest of shards that were written one by one, as if a run had come to its last checkpoint.

    `told`: lines of the manifest. Raises: BadInput if a foreign file is among them; Changed if another job's shards
    are there.
    """
    resolved, out = job.resolved, job.options.out
    names = work.receipts.names() | {each["shard"]["path"] for each in told}

    def check(progress: Progress) -> None:
        require_free_names(out, resolved.output, resolved.layout, ours=names | progress.names)

    progress = manifest.begin({**identity(job), "job": job_file.sha256}, restart=False, check=check)
    if progress.checkpoint is not None or progress.result is not None:
        return
    for each in told:
        manifest.append(naming=each["shard"]["path"], sha256=each["shard"]["sha256"])
        manifest.append(**each)
    manifest.append(
        checkpoint={
            "totals": asdict(work.table.totals),
            "position": {"unit": len(job_file.units)},
            "open": {split: {"index": index, "tokens": 0} for split, index in work.table.behind_last(job).items()},
            "errors": job.options.errors,
            "read": [],
        }
    )
