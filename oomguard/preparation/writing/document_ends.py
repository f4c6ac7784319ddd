"""A file beside an open shard that is appended to, synced and resumed; one of the places where documents end."""

from __future__ import annotations

import os
import zlib
from array import array
from typing import TYPE_CHECKING

from oomguard.errors import Changed
from oomguard.kernel import safe_files
from oomguard.preparation.writing.beside_files import read_part
from oomguard.preparation.writing.manifest import disk_error, write_all
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


# A file beside an open shard that is appended to, synced and resumed: what is built from once all of it is there.


class Spool:
    """A file that is appended to, synced and resumed. All methods may raise OomguardError if the disk refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = self._crc = 0
        self._fd = -1

    def begin(self) -> None:
        """Make the file, which may be there from a run that was stopped."""
        self.close()
        try:
            safe_files.unlink(self.path)
            self._fd = safe_files.create(self.path)
        except OSError as error:
            raise disk_error(error, self.path) from error
        self.size = self._crc = 0

    def append(self, data: bytes) -> None:
        """Add to its end."""
        try:
            write_all(self._fd, memoryview(data))
        except OSError as error:
            raise disk_error(error, self.path) from error
        self._crc = zlib.crc32(data, self._crc)
        self.size += len(data)

    def sync(self) -> list[int]:
        """Put all on disk and give what `resume` needs."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise disk_error(error, self.path) from error
        return [self.size, self._crc]

    def resume(self, size: int, crc: int) -> None:
        """Go on behind the first `size` bytes. Raises: Changed if they are not those that were written."""
        try:
            self._fd = safe_files.open_there(self.path)
            for data in self.stretches(size):
                self._crc = zlib.crc32(data, self._crc)
                self.size += len(data)
            os.ftruncate(self._fd, size)
            os.lseek(self._fd, 0, os.SEEK_END)
        except FileNotFoundError as error:
            raise Changed(f"{self.path} is gone, so the run cannot resume", do="--restart starts over") from error
        except OSError as error:
            raise disk_error(error, self.path) from error
        if (self.size, self._crc) != (size, crc):
            raise Changed(f"{self.path} does not hold what the run left there", do="--restart starts over")

    def stretches(self, size: int, step: int = 1 << 20) -> Iterator[bytes]:
        """The first `size` bytes, `step` at once."""
        for at in range(0, size, step):
            yield os.pread(self._fd, min(step, size - at), at)

    def close(self) -> None:
        """Leave the file as it is; harmless if it is closed."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


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
