"""A run with `--shuffle`: all documents into the spool, the helpers ended, and then out of it into the shards."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oomguard.preparation.conversion_sink import ConversionSink
from oomguard.preparation.engines.pipeline import MemoryMeter, PipelineState
from oomguard.preparation.preconditions import identity, require_some_text
from oomguard.preparation.result import totals_before
from oomguard.preparation.running import encode_into
from oomguard.preparation.shuffle_rules import room_for_pass
from oomguard.preparation.shuffling import bucket_writers, open_spool
from oomguard.preparation.sinks import sink_for
from oomguard.preparation.writing.buckets import spool_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oomguard.preparation.conversion_sink import Pieces
    from oomguard.preparation.engines.events import PrepareEvents
    from oomguard.preparation.running import Run
    from oomguard.preparation.writing.manifest import Manifest, Progress
    from oomguard.preparation.writing.token_sink import EncodedPiece, TokenSink


def run_shuffled(
    run: Run, sink: TokenSink, manifest: Manifest, progress: Progress, check: Callable[[Progress], None]
) -> tuple[PipelineState, Progress]:
    """Fill the spool, then the shards from it; gives what earlier runs had done of the input as well.

    `check` looks at the inputs of an earlier run that has filled the spool in part.
    """
    job, budget, slots, stack = run.job, run.budget, run.slots, run.stack
    spool = open_spool(job, stack, identity(job), position=sink.position, check=check)
    before = spool.progress
    run.events.on_start(job, budget, totals_before(before).input_bytes)
    state = None
    if not spool.is_full:
        writers = bucket_writers(job, budget.limit, spool.folder)
        into = sink_for(
            job,
            spool_plan(spool.folder, spool.manifest.state, job.resolved.spec.token_bytes),
            spool.manifest,
            run.checkpoint_seconds,
            writers,
        )
        stack.callback(into.close)
        into.resume(before)
        state = encode_into(run, into)
        require_some_text(into.totals.tokens)
        spool.note_full(into.totals)
    run.workers.end_all(kill=True)
    for slot in range(slots.layout.slots):
        slots.free_pages(slot)
    spool.begin(sink)
    meter = MemoryMeter(budget=budget.limit, measure=budget.measure, clock=time.monotonic)
    pieces = spool.pieces(
        sink,
        by_document=job.by_document,
        token_bytes=job.resolved.spec.token_bytes,
        room=room_for_pass(budget.limit, meter.look()),
    )
    told = _Told(pieces, sink, meter, run.events, sum(source.size or 0 for source in job.sources))
    ConversionSink(manifest, sink, stack, progress, was_done=False).write(told)
    peak = max(meter.peak, meter.look(), state.peak if state else 0)
    if state is None:
        return replace(told.state(), peak=peak), before
    return replace(state, peak=peak), before


@dataclass(slots=True)
class _Told:
    """Pieces that tell how far they are as they are taken."""

    source: Pieces
    sink: TokenSink
    meter: MemoryMeter
    events: PrepareEvents
    bytes_read: int

    def pieces(self, position: dict[str, int]) -> Iterator[EncodedPiece]:
        """All pieces from a position on."""
        for piece in self.source.pieces(position):
            yield piece
            self.meter.look_now_and_then()
            self.events.on_state(self.state())

    def state(self) -> PipelineState:
        """How far it is."""
        return PipelineState(
            totals=self.sink.totals, bytes_read=self.bytes_read, workers=0, memory=self.meter.now,
            peak=self.meter.peak, restarts=0, largest_rss=0, shuffled=self.sink.totals.tokens,
        )  # fmt: skip
