"""A run with `--shuffle`: all documents into the spool, the helpers ended, and then out of it into the shards."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oomguard.preparation.conversion_sink import ConversionSink
from oomguard.preparation.engines.progress import MemoryMeter, PipelineState
from oomguard.preparation.resuming import begin_spool
from oomguard.preparation.running import encode_rest
from oomguard.preparation.shuffle_spool import Spool
from oomguard.preparation.writing.token_sink import Totals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.conversion_sink import Pieces
    from oomguard.preparation.engines.run import Run
    from oomguard.preparation.writing.manifest import Manifest, Progress
    from oomguard.preparation.writing.token_sink import EncodedPiece, TokenSink


def run_shuffled(
    run: Run, sink: TokenSink, manifest: Manifest, progress: Progress, checkpoint_seconds: float
) -> tuple[PipelineState, Progress]:
    """Fill the spool, then the shards from it; gives what earlier runs had done of the input as well."""
    job, budget, stack = run.job, run.budget, run.stack
    spool = Spool(job, *begin_spool(job, stack, has_begun=bool(sink.position)))
    before = spool.progress
    run.events.on_start(job, budget, Totals.before(before).input_bytes)
    state = None
    if not spool.is_full:
        into = spool.sink(stack, budget.limit, checkpoint_seconds)
        state = encode_rest(run, into)
        spool.note_full(into.totals)
    run.workers.end_all(kill=True)
    run.workers.free_slots()
    spool.begin(sink)
    meter = MemoryMeter(budget=budget.limit, measure=budget.measure, clock=time.monotonic)
    pieces = spool.pieces(sink, budget=budget.limit, used=meter.look())
    told = _Told(pieces, sink, meter, run, sum(source.size or 0 for source in job.sources))
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
    run: Run
    bytes_read: int

    def pieces(self, position: dict[str, int]) -> Iterator[EncodedPiece]:
        """All pieces from a position on."""
        for piece in self.source.pieces(position):
            yield piece
            self.meter.look_now_and_then()
            self.run.events.on_state(self.state())

    def state(self) -> PipelineState:
        """How far it is."""
        return PipelineState(
            totals=self.sink.totals, bytes_read=self.bytes_read, workers=0, memory=self.meter.now,
            peak=self.meter.peak, restarts=0, largest_rss=0, shuffled=self.sink.totals.tokens,
        )  # fmt: skip
