"""Where the documents of an open shard end: a file of int64 beside its tokens, appended as they are, and resumed."""

from __future__ import annotations

import os
import zlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.errors import Changed
from oomguard.kernel.safe_files import create, open_there, unlink
from oomguard.preparation.writing.beside_files import read_part
from oomguard.preparation.writing.manifest import disk_error, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_STRETCH = 1 << 16  # ends read at once: half a MiB
_BYTES = 8


class DocumentEnds:
    """The ends of one shard's documents, in tokens from its beginning. All methods may raise OomguardError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0
        self.last = 0
        self._crc = 0
        self._fd = -1

    def begin(self) -> None:
        """Make the file, which may be there from a run that was stopped."""
        self.close()
        try:
            unlink(self._path)
            self._fd = create(self._path)
        except OSError as error:
            raise disk_error(error, self._path) from error
        self.count = self.last = self._crc = 0

    def append(self, ends: Sequence[int], *, after: int) -> None:
        """Add ends, which count from token `after` of the shard."""
        if not len(ends):
            return
        data = array("q", [after + end for end in ends]).tobytes()
        try:
            write_all(self._fd, memoryview(data))
        except OSError as error:
            raise disk_error(error, self._path) from error
        self._crc = zlib.crc32(data, self._crc)
        self.count += len(ends)
        self.last = after + ends[-1]

    def sync(self) -> dict[str, int]:
        """Put all on disk and give what `resume` needs."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise disk_error(error, self._path) from error
        return {"documents": self.count, "ends_crc32": self._crc}

    def resume(self, count: int, crc: int) -> None:
        """Go on behind the first `count` ends.

        Raises: Changed if they are not those that were written.
        """
        try:
            self._fd = open_there(self._path)
            self.count = count
            for stretch in self.stretches():
                self._crc = zlib.crc32(stretch, self._crc)
                self.last = stretch[-1]
            os.ftruncate(self._fd, count * _BYTES)
            os.lseek(self._fd, 0, os.SEEK_END)
        except FileNotFoundError as error:
            raise Changed(f"{self._path} is gone, so the run cannot resume", do="--restart starts over") from error
        except OSError as error:
            raise disk_error(error, self._path) from error
        if self._crc != crc:
            raise Changed(f"{self._path} holds other bytes than the run left there", do="--restart starts over")

    def stretches(self) -> Iterator[array[int]]:
        """All ends, some thousands at once."""
        for first in range(0, self.count, _STRETCH):
            ends = array("q")
            data = os.pread(self._fd, min(_STRETCH, self.count - first) * _BYTES, first * _BYTES)
            ends.frombytes(data[: len(data) // _BYTES * _BYTES])
            if ends:
                yield ends

    def remove(self) -> None:
        """Take the file away."""
        self.close()
        unlink(self._path)

    def close(self) -> None:
        """Leave the file as it is; harmless if it is closed."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


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
        return self.document_ends.stretches() if self.document_ends is not None else iter(())

    def data(self, start: int, stop: int) -> Iterator[bytes]:
        """The tokens from `start` to `stop`."""
        return read_part(self.fd, self.start + start * self.token_bytes, self.start + stop * self.token_bytes)
