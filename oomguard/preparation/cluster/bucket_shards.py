"""The shards of a job laid out in a bucket: each is written on this machine, sent, and removed.

Objects cannot be renamed or continued, so nothing is taken back: what has a name is whole. Server-side copies of
parts would spare the way through this machine, but can neither leave out a document of the other split nor give the
sha256 that the manifest has of each shard, and check no sum of what they copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.errors import InUse
from oomguard.kernel.process import stop_on_signals
from oomguard.preparation.cluster.job_place import claim_of
from oomguard.preparation.cluster.shard_shares import ShardWork
from oomguard.preparation.cluster.shard_table import shard_table
from oomguard.preparation.preconditions import require_free_names, require_some_text

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.job import Job

_FINISH = "finish.claim"


def send_shards(stack: ExitStack, job_file: JobFile, job: Job, *, keep_parts: bool) -> ShardWork:
    """Write the shards that nobody has written; until `stack` ends, no other `finish` notes them.

    `job` has a folder of this machine. Raises: InUse where another `finish` runs; BadInput if a name is taken; as
    ShardWork.write.
    """
    claim = claim_of(job_file.parts / _FINISH)
    if not claim.take():
        raise InUse(
            f"another oomguard finish is working on {job_file.out}",
            do="wait for it: it writes the same shards; then run it again",
        )
    stack.callback(claim.give_up)
    work = ShardWork(
        job_file=job_file, job=job, table=shard_table(job_file, job), asked=stack.enter_context(stop_on_signals()),
        keep_parts=keep_parts, keep=claim.keep,
    )  # fmt: skip
    require_some_text(work.table.totals.tokens)
    require_free_names(job_file.out, job.resolved.output, job.resolved.layout, ours=work.receipts.names())
    work.write(work.table.shards)
    return work
