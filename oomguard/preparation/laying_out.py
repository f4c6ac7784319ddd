"""Shards from pieces that are encoded already, with the writer and the manifest of `prepare`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.preparation.conversion_sink import open_sink
from oomguard.preparation.engines.progress import PipelineState
from oomguard.preparation.identity import identity, require_result
from oomguard.preparation.result import finished, shard_set
from oomguard.preparation.writing.manifest import Manifest, Progress

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.conversion_sink import Pieces
    from oomguard.preparation.job import Job
    from oomguard.preparation.model import ShardSet
    from oomguard.supervision.own_budget import RunBudget

_CHECKPOINT_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class _Laid:
    """Shards that were written one by one, as a sink has them at its end."""

    totals: Any  # Totals
    shards: list[dict[str, Any]]
    all_files: list[dict[str, str | int]]
    bad_files: list[dict[str, Any]] = field(default_factory=list)


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
    state = _state(sink.sink.totals, budget)
    result = shard_set(job, budget, sink.sink, state, time.monotonic() - began, sink.progress)
    sink.manifest.append(result=result.to_json())
    return result


def set_of(
    job: Job,
    budget: RunBudget,
    totals: Any,
    shards: list[dict[str, Any]],
    files: list[dict[str, str | int]],
    seconds: float,
) -> ShardSet:
    """The result of shards that were written one by one: as `lay_out` gives it, of what it counted (Totals)."""
    state = _state(totals, budget)
    return shard_set(job, budget, _Laid(totals=totals, shards=shards, all_files=files), state, seconds, Progress())


def set_before(job: Job, manifest: Manifest) -> ShardSet:
    """The result that a finished job's manifest has at its end. Raises: Changed if it has none."""
    return finished(job, require_result(Manifest.peek(manifest.state)))


def _state(totals: Any, budget: RunBudget) -> PipelineState:
    memory = budget.measure()
    return PipelineState(totals=totals, bytes_read=0, workers=0, memory=memory, peak=memory, restarts=0, largest_rss=0)
