"""A run from its manifest to its result, once its budget is open and its workers start."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oomguard.preparation.result import finished, shard_set
from oomguard.preparation.resuming import begin
from oomguard.preparation.running import encode_rest
from oomguard.preparation.sinks import open_sink
from oomguard.preparation.writing.shuffle_folder import remove_spool

if TYPE_CHECKING:
    from oomguard.preparation.engines.run import Run
    from oomguard.preparation.model import ShardSet


def execute(run: Run, *, checkpoint_seconds: float) -> ShardSet:
    """Do what the manifest says is left to do.

    Raises: OomguardError, as `prepare` does.
    """
    job, options = run.job, run.job.options
    manifest, progress = begin(job, run.stack)
    if progress.result is not None:
        return finished(job, progress.result)
    sink = open_sink(job, manifest, progress, run.stack, checkpoint_seconds)
    began = time.monotonic()
    if options.shuffle is None:
        run.events.on_start(job, run.budget, sink.totals.input_bytes)
        state = encode_rest(run, sink)
    else:
        from oomguard.preparation.shuffled_run import run_shuffled  # here: few ask for it

        state, progress = run_shuffled(run, sink, manifest, progress, checkpoint_seconds)
    result = shard_set(job, run.budget, sink, state, time.monotonic() - began, progress)
    manifest.append(result=result.to_json())
    remove_spool(options.out)
    return result
