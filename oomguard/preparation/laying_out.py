"""Shards from pieces that are encoded already, with the writer and the manifest of `prepare`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oomguard.preparation.conversion_sink import open_sink
from oomguard.preparation.engines.pipeline import PipelineState
from oomguard.preparation.preconditions import identity
from oomguard.preparation.result import finished, shard_set

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.conversion_sink import Pieces
    from oomguard.preparation.job import Job
    from oomguard.preparation.model import ShardSet
    from oomguard.preparation.writing.manifest import Manifest
    from oomguard.supervision.own_budget import RunBudget

_CHECKPOINT_SECONDS = 10.0


def lay_out(
    job: Job,
    budget: RunBudget,
    pieces: Pieces,
    stack: ExitStack,
    *,
    manifest: Manifest,
    encoded_bytes: int,
    made_of: str,
) -> ShardSet:
    """Write the shards, or resume; `made_of` tells the pieces from any others. `stack` closes what is opened.

    Raises: OomguardError, as `prepare` does.
    """
    resolved, options = job.resolved, job.options
    sink = open_sink(
        stack, options.out, resolved.output, resolved.layout, {**identity(job), "job": made_of}, restart=False,
        checkpoint_seconds=_CHECKPOINT_SECONDS, val_fraction=resolved.val_fraction if job.by_document else None,
        first_is_val=resolved.val_fraction is None, encoded_bytes=encoded_bytes,
        manifest=manifest,
    )  # fmt: skip
    if sink.result is not None:
        return finished(job, sink.result)
    began = time.monotonic()
    sink.write(pieces)
    memory = budget.measure()
    state = PipelineState(
        totals=sink.sink.totals, bytes_read=0, workers=0, memory=memory, peak=memory, restarts=0, largest_rss=0
    )
    result = shard_set(job, budget, sink.sink, state, time.monotonic() - began, sink.progress)
    sink.manifest.append(result=result.to_json())
    return result
