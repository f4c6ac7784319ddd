"""A unit's tokens and document ends into its part, which gets its name when all of it is on disk."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.kernel import safe_files
from oomguard.preparation.cluster.job_place import commit
from oomguard.preparation.cluster.parts import BLOCK, LONGEST_FOOTER, MAGIC, TAIL, Segment
from oomguard.preparation.writing.beside_files import read_part
from oomguard.preparation.writing.manifest import disk_error, write_all
from oomguard.preparation.writing.read_parts import ReadParts
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals

if TYPE_CHECKING:
    from oomguard.preparation.cluster.job_place import JobPlace


class _BlockSums:
    """The sha256 of each block of a file that is written in order."""

    def __init__(self) -> None:
        self._sums = bytearray()
        self._digest, self._held = hashlib.sha256(), 0

    def update(self, data: memoryview) -> None:
        """Take the next bytes."""
        while len(data):
            now = data[: BLOCK - self._held]
            self._digest.update(now)
            self._held += len(now)
            data = data[len(now) :]
            if self._held == BLOCK:
                self._end()

    def _end(self) -> None:
        self._sums += self._digest.digest()
        self._digest, self._held = hashlib.sha256(), 0

    def all(self) -> bytes:
        """Give them one after the other, that of a last block too; nothing comes any more."""
        if self._held:
            self._end()
        return bytes(self._sums)


class PartWriter:
    """Where the pipeline puts the pieces of a unit."""

    def __init__(self, path: JobPlace, *, job: str, unit: int, token_bytes: int, folder: Path | None = None) -> None:
        """Write to a temporary file in `folder`, or beside `path`. Raises: BadInput if the disk refuses."""
        self.totals = Totals()
        self.position: dict[str, Any] = {}
        self._path = path
        self._about = {"job": job, "unit": unit, "token_bytes": token_bytes}
        self._token_bytes = token_bytes
        self._segments: list[Segment] = []
        self._read = ReadParts()
        self._sums = _BlockSums()
        folder = folder or Path(str(path)).parent
        stem = f".{path.name.partition('.')[0]}.{secrets.token_hex(8)}"
        self._tokens_at, self._ends_at = folder / f"{stem}.tokens", folder / f"{stem}.ends"
        try:
            self._tokens, self._ends = safe_files.create(self._tokens_at), safe_files.create(self._ends_at)
        except OSError as error:
            raise disk_error(error, self._tokens_at) from error

    def take(self, piece: EncodedPiece) -> None:
        """Append a piece. Raises: BadInput if the disk refuses."""
        import numpy as np

        if not self._segments or self._segments[-1].split != piece.split:
            self._segments.append(Segment(split=piece.split, count=Totals()))
        segment = self._segments[-1]
        ends = np.asarray(piece.ends if piece.ends is not None else (), np.int64) + segment.tokens
        try:
            write_all(self._tokens, memoryview(piece.tokens))
            write_all(self._ends, memoryview(ends.astype("<u8").tobytes()))
        except OSError as error:
            raise disk_error(error, self._tokens_at) from error
        self._sums.update(memoryview(piece.tokens).cast("B"))
        segment.tokens += len(piece.tokens) // self._token_bytes
        segment.ends += len(ends)
        segment.count = segment.count.plus(piece.count)
        self.totals = self.totals.plus(piece.count)
        self.position = piece.position
        for source, start, end, crc in piece.read:
            if crc is not None:  # of what only the reader reads there is none: a whole file
                self._read.note(source, start, end, crc)

    def commit(self) -> bool:
        """Give the part its name, once it is on disk; False: another worker did so before, with the same tokens.

        Raises: BadInput if the disk refuses.
        """
        try:
            for data in read_part(self._ends, 0, os.fstat(self._ends).st_size):
                write_all(self._tokens, memoryview(data))
                self._sums.update(memoryview(data))
            segments, read = [asdict(each) for each in self._segments], [part[1:] for part in self._read.take()]
            footer = json.dumps({**self._about, "segments": segments, "read": read}).encode()
            if len(footer) > LONGEST_FOOTER:
                footer = json.dumps({**self._about, "segments": segments, "read": None}).encode()
            behind = self._sums.all() + footer
            tail = TAIL.pack(len(footer), hashlib.sha256(behind).digest(), MAGIC)
            write_all(self._tokens, memoryview(behind + tail))
            os.fsync(self._tokens)
            return commit(self._tokens_at, self._path)
        except OSError as error:
            raise disk_error(error, self._tokens_at) from error

    def close(self) -> None:
        """Close and remove what is temporary; harmless after `commit`."""
        for fd, path in ((self._tokens, self._tokens_at), (self._ends, self._ends_at)):
            if fd >= 0:
                os.close(fd)
            safe_files.unlink(path)
        self._tokens = self._ends = -1
