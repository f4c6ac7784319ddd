"""Where the documents of an open shard end: a file of int64 beside its tokens, appended as they are, and resumed."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from oomguard.preparation.writing.beside_files import read_part
from oomguard.preparation.writing.spool import Spool
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STRETCH = 1 << 16  # ends read at once: half a MiB
_BYTES = 8


class DocumentEnds(Spool):
    """The ends of one shard's documents, in tokens from its beginning. All methods may raise OomguardError."""

    last = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return self.size // _BYTES

    def begin(self) -> None:
        """Make the file, which may be there from a run that was stopped."""
        super().begin()
        self.last = 0

    def append_ends(self, ends: Sequence[int], *, after: int) -> None:
        """Add ends, which count from token `after` of the shard."""
        if len(ends):
            self.append(array("q", [after + end for end in ends]).tobytes())
            self.last = after + ends[-1]

    def resume_ends(self, count: int, crc: int) -> None:
        """Go on behind the first `count` ends. Raises: Changed if they are not those that were written."""
        self.resume(count * _BYTES, crc)
        for ends in self.ends():
            self.last = ends[-1]

    def ends(self) -> Iterator[array[int]]:
        """All of them, some thousands at once."""
        for data in self.stretches(self.size, _STRETCH * _BYTES):
            ends = array("q")
            ends.frombytes(data[: len(data) // _BYTES * _BYTES])
            if ends:
                yield ends


@dataclass(frozen=True, slots=True, kw_only=True)
class FullShard:
    """A shard whose tokens are all there, as formats see it: formats.base.OpenShard."""

    fd: int
    start: int  # of the tokens in the file
    token_bytes: int
    split: str
    index: int
    tokens: int
    document_ends: DocumentEnds | None

    @property
    def documents(self) -> int:
        """How many end in it."""
        return self.document_ends.count if self.document_ends is not None else 0

    def ends(self) -> Iterator[Sequence[int]]:
        """Where they end."""
        return self.document_ends.ends() if self.document_ends is not None else iter(())

    def data(self, start: int, stop: int) -> Iterator[bytes]:
        """The tokens from `start` to `stop`."""
        return read_part(self.fd, self.start + start * self.token_bytes, self.start + stop * self.token_bytes)
