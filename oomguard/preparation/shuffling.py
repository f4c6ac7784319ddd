"""`--shuffle`: documents into buckets on disk first, then out of them in their new order into the shards.

The buckets are in `.oomguard/spool` of the output folder, with a manifest of their own: a run that was stopped in
either half resumes there. The first half is the usual run with other writers; in the second one all helpers have ended,
and their memory is what buckets are sorted in. A bucket goes once a checkpoint is behind it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import Changed
from oomguard.kernel import safe_files
from oomguard.preparation.preconditions import identity
from oomguard.preparation.shuffle_rules import choose_bits
from oomguard.preparation.writing.buckets import BucketWriter, buckets_in
from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.datatrove import Datatrove
from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest, Progress, disk_error
from oomguard.preparation.writing.shard_writer import ShardPlan
from oomguard.preparation.writing.token_sink import Totals
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.shuffled_pieces import ShuffledPieces
    from oomguard.preparation.writing.token_sink import TokenSink

_OURS = re.compile(r"[tv][ab][0-9]{3}\.(?:tokens|keys)|lock|manifest\.(?:jsonl|new)")
_BEGIN = {"section": 0, "bucket": 0, "document": 0, "token": 0}


def spool_folder(out: Path) -> Path:
    """Where documents wait for their places."""
    return out / STATE_FOLDER / "spool"


def is_under_way(out: Path) -> bool:
    """Whether a shuffled run that has done something is not finished there. Raises: Changed."""
    progress = Manifest.peek(spool_folder(out) / STATE_FOLDER)
    return progress.result is not None or any((progress.checkpoint or {"totals": {}})["totals"].values())


def remove_spool(out: Path) -> None:
    """Take away what a shuffle has left, if it has. Raises: OomguardError if the disk refuses."""
    folder = spool_folder(out)
    if not folder.is_dir() or folder.is_symlink():
        return
    try:
        for inner in (folder / STATE_FOLDER, folder):
            for file in inner.glob("*"):
                if _OURS.fullmatch(file.name):
                    safe_files.unlink(file)
            with suppress(OSError):  # something else is in it, and stays
                inner.rmdir()
    except OSError as error:
        raise disk_error(error, folder) from error


def require_none_under_way(out: Path) -> None:
    """A run without --shuffle does not begin where a shuffled one can be resumed.

    Raises: Changed.
    """
    if is_under_way(out):
        raise Changed(
            f"a run with --shuffle was begun in {printable(str(out))} and is not finished",
            do="the same command as before to resume it, --restart to start over, or another --out FOLDER",
        )


def bucket_writers(job: Job, budget: int, folder: Path) -> Callable[[Any], BucketWriter]:
    """What takes the documents of a split."""
    resolved, seed = job.resolved, job.options.shuffle
    assert seed is not None
    bits = choose_bits(job.sources, resolved, budget)
    first = resolved.shard_tokens if resolved.val_fraction is None else 0

    def new_writer(split: str) -> BucketWriter:
        return BucketWriter(
            folder,
            split,
            seed=seed,
            token_bytes=resolved.spec.token_bytes,
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

    def plan(self, job: Job) -> ShardPlan:
        """For the sink that takes documents into buckets: what it needs to know of shards."""
        layout = Layout(name="", token_bytes=job.resolved.spec.token_bytes)
        return ShardPlan(
            folder=self.folder,
            state=self.manifest.state,
            format=Datatrove(),  # whose documents have ends
            layout=layout,
            first_is_val=False,
        )

    def note_full(self, totals: Totals) -> None:
        """All documents are there, and on disk."""
        self.manifest.append(result={"tokens": totals.tokens, "documents": totals.documents})

    def begin(self, sink: TokenSink) -> None:
        """See to it that a sink for the shards has all but the tokens, if nothing is there yet."""
        if not sink.position:
            done = self._checkpoint()
            sink.totals = replace(Totals(**done["totals"]), tokens=0)
            sink.bad_files = list(done.get("bad_files", ()))
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


def open_spool(job: Job, stack: ExitStack, *, position: dict[str, Any], check: Callable[[Progress], None]) -> Spool:
    """Begin, or go on; `position` is that of the shards. Raises: OomguardError, as `prepare` does."""
    folder, options = spool_folder(job.options.out), job.options
    manifest = Manifest(folder)
    stack.callback(manifest.close)
    progress = manifest.begin(identity(job), restart=options.restart, check=check)
    if position and progress.result is None:
        raise Changed(
            f"{printable(str(folder))} does not hold the documents of the run that was begun here",
            do="--restart to make the shards again, or another --out FOLDER",
        )
    return Spool(folder=folder, manifest=manifest, progress=progress)
