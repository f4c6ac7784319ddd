"""A run with `--shuffle`: all documents into the spool, the helpers ended, and then out of it into the shards."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oomguard.preparation.conversion_sink import ConversionSink
from oomguard.preparation.engines.pipeline import MemoryMeter, PipelineState
from oomguard.preparation.identity import identity
from oomguard.preparation.preconditions import require_some_text
from oomguard.preparation.result import totals_before
from oomguard.preparation.running import encode_into
from oomguard.preparation.shuffle_rules import choose_bits, room_for_pass
from oomguard.preparation.sinks import sink_for
from oomguard.preparation.writing.buckets import BucketWriter, buckets_in, spool_plan
from oomguard.preparation.writing.manifest import Manifest, Progress
from oomguard.preparation.writing.shuffle_folder import require_full, require_no_link, spool_folder
from oomguard.preparation.writing.token_sink import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from oomguard.preparation.conversion_sink import Pieces
    from oomguard.preparation.engines.events import PrepareEvents
    from oomguard.preparation.job import Job
    from oomguard.preparation.running import Run
    from oomguard.preparation.writing.shuffled_pieces import ShuffledPieces
    from oomguard.preparation.writing.token_sink import EncodedPiece, TokenSink

_BEGIN = {"section": 0, "bucket": 0, "document": 0, "token": 0}


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


# `--shuffle`: documents into buckets on disk first, then out of them in their new order into the shards.
#
# The buckets are in `.oomguard/spool` of the output folder, with a manifest of their own: a run that was stopped in
# either half resumes there. The first half is the usual run with other writers; in the second one all helpers have
# ended, and their memory is what buckets are sorted in. A bucket goes once a checkpoint is behind it.


def bucket_writers(job: Job, budget: int, folder: Path) -> Callable[[Any], BucketWriter]:
    """What takes the documents of a split."""
    resolved, seed = job.resolved, job.options.shuffle
    token_bytes = resolved.spec.token_bytes
    assert seed is not None
    bits = choose_bits(job.sources, token_bytes, budget)
    first = resolved.shard_tokens if resolved.val_fraction is None else 0

    def new_writer(split: str) -> BucketWriter:
        return BucketWriter(
            folder,
            split,
            seed=seed,
            token_bytes=token_bytes,
            bits=bits if split == "train" else max(0, bits - 4),
            first_tokens=first or 0,
        )

    return new_writer


@dataclass(slots=True, kw_only=True)
class Spool:
    """The buckets of a run, with their manifest."""

    folder: Path
    manifest: Manifest
    progress: Progress  # of earlier runs

    @property
    def is_full(self) -> bool:
        """Whether earlier runs have put all documents there."""
        return self.progress.result is not None

    def note_full(self, totals: Totals) -> None:
        """All documents are there, and on disk."""
        self.manifest.append(result={"tokens": totals.tokens, "documents": totals.documents})

    def begin(self, sink: TokenSink) -> None:
        """See to it that a sink for the shards has all but the tokens, if nothing is there yet."""
        if not sink.position:
            done = Manifest.peek(self.manifest.state)
            assert done.checkpoint is not None
            sink.totals = replace(Totals(**done.checkpoint["totals"]), tokens=0)
            sink.bad_files = list(done.bad_files)
            sink.position = dict(_BEGIN)

    def pieces(self, sink: TokenSink, *, by_document: bool, token_bytes: int, room: int) -> ShuffledPieces:
        """The documents in their order for a sink, which takes a checkpoint at the end of each bucket."""
        from oomguard.preparation.writing.shuffled_pieces import Section, ShuffledPieces

        parts = self._checkpoint()["open"]
        sections = [
            Section(
                split=("val" if split == "val" else "train") if by_document else None,
                buckets=buckets_in(self.folder, split[0] + part, states),
            )
            for split in ("val", "train")
            for part, states in (parts[split]["buckets"] if split in parts else {}).items()
            if states
        ]

        def when_done(bucket: Any) -> None:
            if bucket.documents:
                sink.checkpoint()
                bucket.remove()

        return ShuffledPieces(sections, token_bytes=token_bytes, room=room, when_done=when_done)

    def _checkpoint(self) -> dict[str, Any]:
        checkpoint = Manifest.peek(self.manifest.state).checkpoint
        assert checkpoint is not None
        return checkpoint


def open_spool(
    job: Job,
    stack: ExitStack,
    header: dict[str, Any],
    *,
    position: dict[str, Any],
    check: Callable[[Progress], None],
) -> Spool:
    """Begin, or resume; `header` as of the shards, `position` theirs. Raises: OomguardError, as `prepare` does."""
    folder = spool_folder(job.options.out)
    require_no_link(folder)
    manifest = Manifest(folder)
    stack.callback(manifest.close)
    progress = manifest.begin(header, restart=job.options.restart, check=check)
    require_full(folder, is_full=progress.result is not None, has_begun=bool(position))
    return Spool(folder=folder, manifest=manifest, progress=progress)
