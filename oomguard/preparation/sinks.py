"""Where the tokens of a run go: the sink for the shards that its options ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.preparation.identity import full_path
from oomguard.preparation.writing.read_parts import ReadParts
from oomguard.preparation.writing.shard_writer import ShardPlan
from oomguard.preparation.writing.token_sink import TokenSink

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.manifest import Manifest, Progress
    from oomguard.preparation.writing.provenance import Provenance
    from oomguard.preparation.writing.token_sink import Split, Writer


def open_sink(
    job: Job, manifest: Manifest, progress: Progress, stack: ExitStack, checkpoint_seconds: float
) -> TokenSink:
    """The sink for the shards, where earlier runs left it; `stack` closes it."""
    sink = new_sink(job, manifest, checkpoint_seconds)
    stack.callback(sink.close)
    sink.resume(progress)
    return sink


def new_sink(job: Job, manifest: Manifest, checkpoint_seconds: float) -> TokenSink:
    """A sink for the shards; nothing is opened yet."""
    resolved = job.resolved
    plan = ShardPlan(
        folder=job.options.out,
        state=manifest.state,
        format=resolved.output,
        layout=resolved.layout,
        first_is_val=resolved.val_fraction is None,
    )
    return sink_for(job, plan, manifest, checkpoint_seconds)


def sink_for(
    job: Job,
    plan: ShardPlan,
    manifest: Manifest,
    checkpoint_seconds: float,
    new_writer: Callable[[Split], Writer] | None = None,
) -> TokenSink:
    """A sink for the shards of a plan, or, with a writer of its own, for something on the way to them."""
    return TokenSink(
        plan,
        manifest,
        val_fraction=job.resolved.val_fraction if job.by_document else None,
        checkpoint_seconds=checkpoint_seconds,
        errors=job.options.errors,
        read_parts=ReadParts(job.sources),
        encoded_bytes=job.resolved.spec.token_bytes,
        provenance=_provenance(job, manifest, plan) if job.options.provenance else None,
        new_writer=new_writer,
    )


def _provenance(job: Job, manifest: Manifest, plan: ShardPlan) -> Provenance:
    from oomguard.preparation.writing.provenance import Provenance  # numpy and pyarrow, which others do without
    from oomguard.preparation.writing.val_split import ValSplit

    val_fraction = job.resolved.val_fraction if job.by_document else None
    return Provenance(
        plan.folder,
        manifest,
        lambda number: full_path(job.sources[number]),
        split=None if val_fraction is None else ValSplit(val_fraction),
        val_tokens=(plan.layout.shard_tokens or 0) if plan.first_is_val else 0,
    )
