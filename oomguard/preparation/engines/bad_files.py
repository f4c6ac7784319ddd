"""Files that cannot be read to their end: what `--bad-files skip` keeps of them, and when too much is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, OomguardError
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from oomguard.text import printable

if TYPE_CHECKING:
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.job import Job

_BEFORE = memoryview((-1).to_bytes(8, "little", signed=True)).cast("q")  # where a document begins: before
_SOON = 1000  # documents left out after which the end of the file is not waited for


class FileLedger:
    """Counts what each file gave, and knows which are not continued."""

    def __init__(self, job: Job, position: dict[str, Any]) -> None:
        self._job = job
        self._skips = job.options.bad_files == "skip"
        self._left: set[int] = set()
        kept = position.get("kept") or [0, 0]
        self._source: int = position["source"]
        self._documents, self._left_out = kept
        # Whether a document was begun and not ended. Of an earlier run that is known where it can be so.
        self._is_open = bool(position.get("offset")) or (position.get("resume") or {}).get("starts") is False
        self._split: Any = None
        self._member = ""

    def may_leave(self, error: OomguardError) -> bool:
        """Whether the file of an error is left, and the run continues."""
        return self._skips and isinstance(error, BadInput)

    def is_left(self, source: int) -> bool:
        """Whether what still comes of a source is dropped."""
        return source in self._left

    def begin(self, source: int) -> None:
        """What is taken next is of this source."""
        if source != self._source:
            self._source, self._documents, self._left_out, self._is_open = source, 0, 0, False

    def count(self, work: Work, documents: int, left_out: int, *, is_open: bool) -> None:
        """A chunk is taken."""
        self._documents += documents
        self._left_out += left_out
        self._is_open = is_open
        self._split, self._member = work.split, work.member

    def with_counts(self, position: dict[str, Any]) -> dict[str, Any]:
        """Give a position with what the file under way has given, for who resumes there."""
        if len(position) == 1 or not (self._skips or self._left_out):
            return position
        return {**position, "kept": [self._documents, self._left_out]}

    def too_much_left_out(self, more: int = 0, documents: int = 0, *, at_end: bool) -> BadInput | None:
        """Give the error where most of a file's documents are left out; `more` and `documents`: with these."""
        left_out, kept = self._left_out + more, self._documents + documents
        if left_out <= kept or not (at_end or (left_out >= _SOON and not self._skips)):
            return None
        name = printable(self._job.sources[self._source].path)
        return BadInput(
            f"{name}: {left_out:,} of {left_out + kept:,} documents{'' if at_end else ' so far'} were left out, "
            "more than half: the format may be a different one, or the text in a different --text-field",
            do="see the first of them without --errors skip; --bad-files skip keeps the others, and names the file",
        )

    def leave(self, source: int, error: OomguardError, piece: EncodedPiece | None = None) -> EncodedPiece:
        """Give up a source: the note of it for the manifest, with its last documents, or what ends the last of them."""
        self.begin(source)
        self._left.add(source)
        if piece is None or not piece.count.documents:
            piece = self._closing()
            self._documents += piece.count.documents
        self._is_open = False
        note = {
            "path": printable(self._job.sources[source].path),
            "what": str(error),
            "documents": self._documents,
            "left_out": self._left_out,
        }
        return replace(piece, position={"source": source + 1}, bad_file=note)

    def _closing(self) -> EncodedPiece:
        """What ends a document that was begun."""
        spec = self._job.resolved.spec
        is_token = self._is_open and self._job.resolved.eot == "after"
        tokens = max(spec.eot, 0).to_bytes(spec.token_bytes, "little") if is_token else b""
        ends = memoryview(int(is_token).to_bytes(8, "little")).cast("q")[: int(self._is_open)]
        return EncodedPiece(
            tokens=memoryview(tokens),
            ends=ends if self._job.with_ends else None,
            origins=_BEFORE[: int(self._is_open)],
            source=self._source,
            member=self._member,
            split=self._split,
            count=Totals(tokens=int(is_token), documents=int(self._is_open)),
            position={},
        )
