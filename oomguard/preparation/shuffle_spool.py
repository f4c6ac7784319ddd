"""`--shuffle`: documents into buckets on disk first, then out of them in their new order into the shards.

The buckets are in `.oomguard/spool` of the output folder, with a manifest of their own: a run that was stopped in
either half resumes there. The first half is the usual run with other writers; in the second one all helpers have
ended, and their memory is what buckets are sorted in. A bucket goes once a checkpoint is behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oomguard.preparation.shuffle_rules import choose_bits, room_for_pass
from oomguard.preparation.sinks import sink_for
from oomguard.preparation.writing.buckets import BucketWriter, buckets_in, spool_plan
from oomguard.preparation.writing.manifest import Manifest, Progress
from oomguard.preparation.writing.token_sink import Totals

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.shuffled_pieces import ShuffledPieces
    from oomguard.preparation.writing.token_sink import TokenSink

_BEGIN = {"section": 0, "bucket": 0, "document": 0, "token": 0}


@dataclass(slots=True)
class Spool:
    """The buckets of a run, with their manifest."""

    job: Job
    manifest: Manifest
    progress: Progress  # of earlier runs

    @property
    def is_full(self) -> bool:
        """Whether earlier runs have put all documents there."""
        return self.progress.result is not None

    def sink(self, stack: ExitStack, budget: int, checkpoint_seconds: float) -> TokenSink:
        """What takes the documents, where earlier runs left it; `stack` closes it."""
        sink = sink_for(
            self.job,
            spool_plan(self.manifest.folder, self.manifest.state, self.job.resolved.spec.token_bytes),
            self.manifest,
            checkpoint_seconds,
            _bucket_writers(self.job, budget, self.manifest.folder),
        )
        stack.callback(sink.close)
        sink.resume(self.progress)
        return sink

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

    def pieces(self, sink: TokenSink, *, budget: int, used: int) -> ShuffledPieces:
        """The documents in their order for a sink, which takes a checkpoint at the end of each bucket.

        `used` bytes of the budget are taken already.
        """
        from oomguard.preparation.writing.shuffled_pieces import Section, ShuffledPieces

        parts = self._checkpoint()["open"]
        sections = [
            Section(
                split=("val" if split == "val" else "train") if self.job.by_document else None,
                buckets=buckets_in(self.manifest.folder, split[0] + part, states),
            )
            for split in ("val", "train")
            for part, states in (parts[split]["buckets"] if split in parts else {}).items()
            if states
        ]

        def when_done(bucket: Any) -> None:
            if bucket.documents:
                sink.checkpoint()
                bucket.remove()

        return ShuffledPieces(
            sections,
            token_bytes=self.job.resolved.spec.token_bytes,
            room=room_for_pass(budget, used),
            when_done=when_done,
        )

    def _checkpoint(self) -> dict[str, Any]:
        checkpoint = Manifest.peek(self.manifest.state).checkpoint
        assert checkpoint is not None
        return checkpoint


def _bucket_writers(job: Job, budget: int, folder: Path) -> Callable[[Any], BucketWriter]:
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
