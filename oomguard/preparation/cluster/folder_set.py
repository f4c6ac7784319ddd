"""The set of a job's shards in a folder that all machines see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.kernel.process import stop_on_signals
from oomguard.preparation.cluster.noting import lay_out_all, lock
from oomguard.preparation.cluster.shard_table import AllParts, require_room_twice
from oomguard.preparation.laying_out import lay_out

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.job import Job
    from oomguard.preparation.model import ShardSet
    from oomguard.supervision.own_budget import RunBudget


def finish_in_folder(stack: ExitStack, job_file: JobFile, job: Job, budget: RunBudget, *, keep_parts: bool) -> ShardSet:
    """Write the shards that nobody has written, and note all of them. Raises: as `finish`."""
    manifest, resolved = lock(stack, job), job.resolved
    if resolved.layout.shard_tokens is not None and not job_file.is_finished:
        with stop_on_signals() as asked:
            lay_out_all(job_file, job, manifest, asked, keep_parts=keep_parts)
    elif not job_file.is_finished:
        require_room_twice(job_file, job)
    parts = AllParts(job_file, resolved.spec.token_bytes)
    return lay_out(
        job, budget, parts, stack, manifest=manifest, encoded_bytes=resolved.spec.token_bytes,
        made_of=job_file.sha256,
    )  # fmt: skip
