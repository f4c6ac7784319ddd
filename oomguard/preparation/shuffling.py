"""`--shuffle`: documents into buckets on disk first, then out of them in their new order into the shards.

The buckets are in `.oomguard/spool` of the output folder, with a manifest of their own: a run that was stopped in
either half resumes there. The first half is the usual run with other writers; in the second one all helpers have ended,
and their memory is what buckets are sorted in. A bucket goes once a checkpoint is behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oomguard.preparation.shuffle_rules import choose_bits
from oomguard.preparation.writing.buckets import BucketWriter, buckets_in
from oomguard.preparation.writing.manifest import Manifest, Progress
from oomguard.preparation.writing.shuffle_folder import require_full, require_no_link, spool_folder
from oomguard.preparation.writing.token_sink import Totals

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.shuffled_pieces import ShuffledPieces
    from oomguard.preparation.writing.token_sink import TokenSink

_BEGIN = {"section": 0, "bucket": 0, "document": 0, "token": 0}


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
