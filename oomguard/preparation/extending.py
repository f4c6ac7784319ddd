"""Inputs added to a run that is finished: what was open when it came to its end is made open again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.errors import Changed
from oomguard.preparation.sinks import new_sink
from oomguard.preparation.writing.manifest import Manifest
from oomguard.preparation.writing.shard_check import require_shards

if TYPE_CHECKING:
    from oomguard.preparation.job import Job

_NEVER = float("inf")  # seconds until a checkpoint


def reopen(job: Job, manifest: Manifest) -> None:
    """Make what was open when a finished run came to its end, if inputs are to be added to it.

    Raises: Changed if its shards are not as they were left.
    """
    options, resolved = job.options, job.resolved
    done = Manifest.peek(manifest.state)
    if "shuffle" in done.header:
        raise Changed(
            f"the documents in {options.out} are shuffled, and new ones would come after them",
            do=f"--restart --shuffle {done.header['shuffle']} with all inputs instead of --extend",
        )
    if done.result is None or len(job.sources) <= len(done.inputs):
        return
    require_shards(
        options.out, done, output=resolved.output, layout=resolved.layout, every_byte=options.verify == "full"
    )
    before = manifest.before_the_end()
    sink = new_sink(job, manifest, _NEVER)
    if before.checkpoint is not None:
        sink.restore(before.checkpoint, resolved.output.stored_shards(options.out, known=resolved.layout))
    sink.close()
