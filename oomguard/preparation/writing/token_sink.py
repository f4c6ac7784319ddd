"""Takes encoded pieces in the order of the text and puts their tokens where they belong."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from oomguard.kernel import safe_files
from oomguard.preparation.writing.beside_files import write_split_files
from oomguard.preparation.writing.read_parts import ReadParts
from oomguard.preparation.writing.shard_check import require_own_leftovers
from oomguard.preparation.writing.shard_writer import ShardPlan, SplitWriter
from oomguard.preparation.writing.val_split import ValSplit
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oomguard.preparation.writing.manifest import Progress
    from oomguard.preparation.writing.provenance import Provenance

Split = Literal["train", "val"]


@dataclass(slots=True, kw_only=True)
class Totals:
    """What has been taken so far."""

    tokens: int = 0
    documents: int = 0  # whose end has been seen
    input_bytes: int = 0
    repaired_bytes: int = 0
    left_out: int = 0  # lines or rows that could not be read
    verified_documents: int = 0
    verified_bytes: int = 0

    @classmethod
    def before(cls, progress: Progress) -> Totals:
        """What earlier runs of the same command have done."""
        return cls(**progress.checkpoint["totals"]) if progress.checkpoint else cls()

    def plus(self, other: Totals) -> Totals:
        """Give the sum."""
        return Totals(  # each by its name: twice for each chunk, on the threads that no other can help
            tokens=self.tokens + other.tokens,
            documents=self.documents + other.documents,
            input_bytes=self.input_bytes + other.input_bytes,
            repaired_bytes=self.repaired_bytes + other.repaired_bytes,
            left_out=self.left_out + other.left_out,
            verified_documents=self.verified_documents + other.verified_documents,
            verified_bytes=self.verified_bytes + other.verified_bytes,
        )


@dataclass(slots=True, kw_only=True)
class EncodedPiece:
    """One piece's tokens, and how far the input has been read once they are taken."""

    tokens: memoryview  # as bytes
    ends: memoryview | None  # int64[document_count], for a split by documents and for formats that know documents
    split: Split | None  # the whole piece belongs there; None: it depends on its documents
    count: Totals
    position: dict[str, Any]
    read: Sequence[tuple[int, int, int, int | None]] = ()  # of the input, for ReadParts.note()
    # With --provenance, of the documents that end in it: where in the source they begin; -1: before the piece.
    origins: memoryview | None = None  # int64[document_count]
    open_from: int = -1  # where a document begins that continues behind the piece; -1: none begins
    source: int = 0
    member: str = ""  # of an archive
    bad_file: dict[str, Any] | None = None  # a file that is not read on: path, what is wrong, documents kept of it


class Writer(Protocol):
    """What takes the tokens of a split."""

    def write(self, tokens: memoryview, ends: Sequence[int] = (), number: int = 0) -> None:
        """Take tokens, in which documents end at `ends`; `number`: of the document in the input that they begin in."""

    def sync(self) -> dict[str, Any]:
        """Put all that was taken on disk; gives what `resume` needs."""
        ...

    def resume(self, position: dict[str, Any]) -> None:
        """Go on from a position that `sync` gave."""

    def restore(self, position: dict[str, Any], stored: Sequence[Any]) -> None:
        """Make what was open at a position again from what was finished behind it."""

    def finish(self) -> None:
        """Nothing comes any more."""

    def forget_parts(self) -> None:
        """A checkpoint is on disk: what only earlier ones need may go."""

    def close(self) -> None:
        """Leave all as it is."""


class Journal(Protocol):
    """What is told of the work: a manifest."""

    def append(self, **line: Any) -> None:
        """Add a line."""


class TokenSink:
    """Owns the shards of a run. Not thread-safe: one thread takes the pieces."""

    def __init__(
        self,
        plan: ShardPlan,
        manifest: Journal,
        *,
        val_fraction: str | None,
        checkpoint_seconds: float,
        errors: str = "strict",
        read_parts: ReadParts | None = None,
        encoded_bytes: int | None = None,
        provenance: Provenance | None = None,
        clock: Callable[[], float] = time.monotonic,
        new_writer: Callable[[Split], Writer] | None = None,
    ) -> None:
        """`encoded_bytes`: of a token as pieces bring it; None: as the shards have it.

        `new_writer` gives what takes the tokens of a split; None: what writes them into shards.
        """
        self.totals = Totals()
        self.shards: list[dict[str, Any]] = []
        self.files: list[dict[str, Any]] = []  # that speak of all shards of a split
        self.bad_files: list[dict[str, Any]] = []
        self._told_bad = 0  # so many of them are in the manifest: a checkpoint has those that are new
        self.position: dict[str, Any] = {}
        self._plan = plan
        self._folder = plan.folder
        self._manifest = manifest
        self._errors = errors
        self._read_parts = read_parts or ReadParts()
        self._token_bytes = plan.layout.token_bytes
        self._is_widened = encoded_bytes not in (None, self._token_bytes)
        self._split = ValSplit(val_fraction) if val_fraction is not None else None
        self._checkpoint_seconds = checkpoint_seconds
        self._clock = clock
        self._last_checkpoint = clock()
        self._is_whole = True  # every piece was written to its end
        splits: tuple[Split, ...] = ("train",) if self._split is None else ("train", "val")
        self._writers: dict[Split, Writer] = {split: (new_writer or self._new_writer)(split) for split in splits}
        self._provenance = provenance

    @property
    def all_files(self) -> list[dict[str, Any]]:
        """What was made beside the shards: files that speak of all of a split, and provenance."""
        return self.files + (self._provenance.files if self._provenance is not None else [])

    def _new_writer(self, split: Split) -> Writer:
        return SplitWriter(
            self._plan,
            split,
            first_index=self._plan.format.first_index(split, by_document=self._split is not None),
            on_naming=self._tell_name,
            on_shard=self._keep_shard,
        )

    def resume(self, progress: Progress) -> None:
        """Go on from a manifest's last checkpoint.

        Raises: OomguardError if what is on disk is not what the earlier run left there, or cannot be read.
        """
        left = require_own_leftovers(self._folder, progress)
        if progress.checkpoint is not None:
            self._go_on(progress, progress.checkpoint)
        for file in left:  # but for one that is open again, and has lost its name
            safe_files.unlink(file)

    def restore(self, checkpoint: dict[str, Any], stored: Sequence[Any]) -> None:
        """Make what was open at a checkpoint again from the finished shards, each a StoredShard, for `resume`.

        Raises: Changed if a shard is not there; BadInput if the disk refuses.
        """
        for split, at in checkpoint["open"].items():
            if not at["tokens"] and not at.get("documents"):
                continue
            self._writers[split].restore(at, stored)
        if self._provenance is not None:
            self._provenance.restore(checkpoint["provenance"])

    def _go_on(self, progress: Progress, checkpoint: dict[str, Any]) -> None:
        self.totals = Totals(**checkpoint["totals"])
        self.position = checkpoint["position"]
        self.bad_files = list(progress.bad_files)
        self._told_bad = len(self.bad_files)
        self._read_parts.go_on(progress.read)
        self.shards = list(progress.shards)
        for split, at in checkpoint["open"].items():
            self._writers[split].resume(at)
        if self._provenance is not None:
            self._provenance.resume(checkpoint["provenance"], progress.provenance)

    def take(self, piece: EncodedPiece) -> None:
        """Write a piece's tokens; now and then, make sure that they are on disk and say so in the manifest.

        Raises: BadInput if the disk refuses. Then shards and position no longer agree, and no checkpoint is taken.
        """
        self._is_whole = False
        if self._is_widened:
            piece = replace(piece, tokens=_widen(piece.tokens))
        if self._split is None or piece.split is not None:
            ends = () if piece.ends is None else piece.ends
            self._writers[piece.split or "train"].write(piece.tokens, ends, self.totals.documents)
        else:
            self._write_by_document(piece, self._split)
        if self._provenance is not None:
            assert piece.ends is not None
            assert piece.origins is not None
            self._provenance.take(
                self.totals.documents,
                ends=piece.ends,
                origins=piece.origins,
                tokens=piece.count.tokens,
                open_from=piece.open_from,
                split=piece.split,
                source=piece.source,
                member=piece.member,
            )
        self.totals = self.totals.plus(piece.count)
        self.position = piece.position
        if piece.bad_file is not None:
            self.bad_files.append(piece.bad_file)
        for part in piece.read:
            self._read_parts.note(*part)
        self._is_whole = True
        if self._clock() - self._last_checkpoint >= self._checkpoint_seconds:
            self.checkpoint()

    def _write_by_document(self, piece: EncodedPiece, split: ValSplit) -> None:
        assert piece.ends is not None
        first, parts = self.totals.documents, len(piece.ends)  # the last part, number `parts`, has no end yet
        done = 0
        val = split.next_val(first)
        while val is not None and val - first <= parts:
            # Part number k of the piece belongs to document first + k.
            self._write_parts("train", piece, done, val - first)
            self._write_parts("val", piece, val - first, val - first + 1)
            done = val - first + 1
            val = split.next_val(val + 1)
        self._write_parts("train", piece, done, parts + 1)

    def _write_parts(self, split: Split, piece: EncodedPiece, first: int, stop: int) -> None:
        """Write some of a piece's parts, each of one document."""
        assert piece.ends is not None
        if first >= stop:
            return
        tokens, ends, size = piece.tokens, piece.ends, self._token_bytes
        start = ends[first - 1] if first else 0
        end = ends[stop - 1] if stop <= len(ends) else len(tokens) // size
        own = [end - start for end in ends[first:stop]] if self._plan.with_documents else ()
        self._writers[split].write(tokens[start * size : end * size], own, self.totals.documents + first)

    def checkpoint(self) -> None:
        """Put all that was taken on disk; a run that is stopped later continues from here at the latest.

        Raises: BadInput if the disk refuses. Then this was the last try: what the kernel could not write it reports
        once, and a second sync would be told that all is well.
        """
        if not self._is_whole:
            return
        self._is_whole = False
        read = self._read_parts.take()
        at = {split: writer.sync() for split, writer in self._writers.items()}
        more = {} if self._provenance is None else {"provenance": self._provenance.sync()}
        self._manifest.append(
            checkpoint={
                "totals": asdict(self.totals),
                "position": self.position,
                "open": at,
                "errors": self._errors,
                "read": read,
                **more,
                **({"bad_files": self.bad_files[self._told_bad :]} if len(self.bad_files) > self._told_bad else {}),
            }
        )
        self._told_bad = len(self.bad_files)
        for writer in self._writers.values():
            writer.forget_parts()
        if self._provenance is not None:
            self._provenance.forget_parts()
        self._is_whole = True
        self._last_checkpoint = self._clock()

    def finish(self) -> None:
        """Finish the last shard of each split.

        Raises: BadInput if the disk refuses; Changed if the input is not what was read.
        """
        self.checkpoint()
        self._read_parts.require_unchanged()
        self._is_whole = False
        for writer in self._writers.values():
            writer.finish()
        plan = self._plan
        self.files += write_split_files(
            plan.folder, plan.state, plan.format, plan.layout, self.shards, on_naming=self._tell_name
        )
        if self._provenance is not None:
            self._provenance.finish()
        self._is_whole = True
        self.checkpoint()

    def close(self) -> None:
        """Close what a run that did not end well left open."""
        for writer in self._writers.values():
            writer.close()
        if self._provenance is not None:
            self._provenance.close()

    def _tell_name(self, name: str, sha256: str) -> None:
        self._manifest.append(naming=name, sha256=sha256)

    def _keep_shard(self, shard: dict[str, Any], file: list[int]) -> None:
        self.shards.append(shard)
        self._manifest.append(shard=shard, file=file)


def _widen(tokens: memoryview) -> memoryview:
    """Make uint32 of uint16."""
    import numpy as np

    return memoryview(np.frombuffer(tokens, "<u2").astype("<u4").tobytes())
