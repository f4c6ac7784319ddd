"""A run from its manifest to its result, once its budget is open and its workers start."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from oomguard.errors import Changed
from oomguard.preparation.identity import identity, require_comparable, require_same_errors_policy
from oomguard.preparation.preconditions import require_free_names, require_some_text
from oomguard.preparation.result import finished, shard_set
from oomguard.preparation.running import encode_into
from oomguard.preparation.sinks import new_sink, open_sink
from oomguard.preparation.writing.manifest import Manifest, Progress
from oomguard.preparation.writing.progress_check import require_sense
from oomguard.preparation.writing.read_parts import require_same_inputs
from oomguard.preparation.writing.shard_check import require_own_leftovers, require_shards
from oomguard.preparation.writing.shuffle_folder import remove_spool, require_none_under_way

if TYPE_CHECKING:
    from oomguard.preparation.job import Job
    from oomguard.preparation.model import ShardSet
    from oomguard.preparation.running import Run


def execute(run: Run) -> ShardSet:
    """Do what the manifest says is left to do.

    Raises: OomguardError, as `prepare` does.
    """
    job, options = run.job, run.job.options
    manifest = Manifest(options.out)
    run.stack.callback(manifest.close)
    if options.extend:
        _reopen(job, manifest, run.checkpoint_seconds)
    progress = manifest.begin(identity(job), restart=options.restart, extend=options.extend, check=partial(_check, job))
    if options.restart or progress.result is not None or options.shuffle is None:
        remove_spool(options.out)
    if progress.result is not None:
        require_comparable(job.sources)
        return finished(job, progress.result)
    sink = open_sink(job, manifest, progress, run.stack, run.checkpoint_seconds)
    began = time.monotonic()
    if options.shuffle is None:
        run.events.on_start(job, run.budget, sink.totals.input_bytes)
        state = encode_into(run, sink)
    else:
        from oomguard.preparation.shuffled_run import run_shuffled  # here: few ask for it

        state, progress = run_shuffled(run, sink, manifest, progress, partial(_check_inputs, job))
    require_some_text(sink.totals.tokens)
    result = shard_set(job, run.budget, sink, state, time.monotonic() - began, progress)
    manifest.append(result=result.to_json())
    remove_spool(options.out)
    return result


def _reopen(job: Job, manifest: Manifest, checkpoint_seconds: float) -> None:
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
    sink = new_sink(job, manifest, checkpoint_seconds)
    if before.checkpoint is not None:
        sink.restore(before.checkpoint, resolved.output.stored_shards(options.out, known=resolved.layout))
    sink.close()


def _check(job: Job, progress: Progress) -> None:
    """Whether the run can continue from there; nothing on disk is changed before."""
    options = job.options
    require_free_names(
        options.out, job.resolved.output, job.resolved.layout, ours=progress.names, provenance=options.provenance
    )
    if options.restart:
        require_own_leftovers(options.out, progress)
        return
    if options.shuffle is None:
        require_none_under_way(options.out)
    require_sense(job, progress)
    _check_inputs(job, progress)
    require_shards(
        options.out,
        progress,
        output=job.resolved.output,
        layout=job.resolved.layout,
        every_byte=options.verify == "full",
    )


def _check_inputs(job: Job, progress: Progress) -> None:
    """What was read of them is there as it was."""
    if not job.options.restart:
        require_same_errors_policy(progress, job.options)
        require_same_inputs(job.sources, progress.inputs, progress)
