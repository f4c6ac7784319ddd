"""What was read of each input, with a checksum: a run continues only with the bytes that it began with.

The CRC-32 of a plain text, and of a Parquet file's footer and pages, is taken by the workers, of the very bytes that
they read; that of a file which only the reader can read is taken here, of all that the reader has taken from it, when
a checkpoint needs it. So nobody has to trust the times of a file: where its inode, mtime or ctime is another one,
what was read of it is read again.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from isal import isal_zlib

from oomguard.errors import BadInput, Changed
from oomguard.text import printable, shell_word
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.writing.manifest import Progress

_POLYNOMIAL = 0xEDB88320  # of CRC-32, as zlib has it: the highest power is the lowest bit
_ONE = 1 << 31


class ReadParts:
    """Collects what was read since the last checkpoint: [source, start, end, CRC-32] each."""

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        self._sources = sources
        self._known: dict[int, int] = {}  # how far each file's checksum reaches
        self._parts: list[list[int]] = []
        self._noted: set[tuple[int, int]] = set()  # since the last checkpoint: a dictionary page is read with each page
        self._reaches: dict[int, int] = {}  # how far the reader was in files whose checksum is yet to be taken
        self._done: dict[int, list[list[int]]] = {}

    def go_on(self, parts: dict[int, list[list[int]]]) -> None:
        """Begin with what earlier runs noted."""
        self._done = {source: list(known) for source, known in parts.items()}
        self._known = {source: max(end for _, end, _ in known) for source, known in parts.items()}

    def note(self, source: int, start: int, end: int, crc: int | None) -> None:
        """A piece was taken: it is the bytes from `start` to `end`, or (without `crc`) lies somewhere before `end`."""
        if crc is None:
            self._reaches[source] = max(end, self._reaches.get(source, 0))
            return
        if (source, start) in self._noted:
            return
        self._noted.add((source, start))
        last = self._parts[-1] if self._parts else None
        if last is not None and last[0] == source and last[2] == start:
            last[2:] = end, join_crc(last[3], crc, end - start)
        else:
            self._parts.append([source, start, end, crc])

    def take(self) -> list[list[int]]:
        """Give all that is new for a checkpoint.

        Raises: Changed if a file is no longer the one that is read; BadInput if it cannot be read.
        """
        for index, end in self._reaches.items():
            start = self._known.get(index, 0)
            if end > start:
                self._parts.append([index, start, end, self._read_again(self._sources[index], start, end)])
                self._known[index] = end
        self._reaches.clear()
        parts, self._parts = self._parts, []
        self._noted.clear()
        for source, *part in parts:
            self._done.setdefault(source, []).append(part)
        return parts

    def require_unchanged(self) -> None:
        """At the end of a run: no file was changed behind its times.

        Raises: Changed.
        """
        for index, parts in self._done.items():
            source = self._sources[index]
            try:
                now = _identity(Path(source.path).stat())
            except OSError:
                continue  # gone since: what was open has been read to its end
            if now != source_identity(source):
                require_same_bytes(source, parts)

    def _read_again(self, source: Source, start: int, end: int) -> int:
        crc, identity = read_crc(source, start, end)
        if identity != source_identity(source):
            raise Changed(
                f"{printable(source.path)} was changed while it was read",
                do="run the same command again: it compares what was read before, and resumes or says what to do",
            )
        return crc


def source_identity(source: Source) -> list[int | None]:
    """What tells that a file was replaced or changed."""
    return [source.inode, source.mtime_ns, source.ctime_ns]


def _identity(status: os.stat_result) -> list[int | None]:
    return [status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def require_same_inputs(sources: Sequence[Source], before: list[Any], progress: Progress) -> None:
    """What was read of each file is there as it was, if it is not known to be untouched.

    `before`: what the manifest says of each source.
    Raises: Changed with the first file that holds other bytes, or of which that cannot be told.
    """
    position = progress.checkpoint["position"] if progress.checkpoint else {}
    begun = position.get("source", 0) + bool(position.keys() & {"offset", "resume"})
    for index, source in enumerate(sources[:begun]):
        known = before[index]
        if (
            source.size is None
            or source.is_remote
            or [known.get(key) for key in ("inode", "changed", "ctime")] == source_identity(source)
        ):
            continue
        parts = progress.read.get(index)
        if parts:
            require_same_bytes(source, parts)
        elif source.size:
            raise Changed(
                f"{printable(source.path)} was touched or replaced since it was read, "
                f"and for a {source.kind} file no checksum shows whether its bytes are the same",
                do="--restart to make the shards again, or another --out FOLDER",
            )


def require_same_bytes(source: Source, parts: Sequence[Sequence[int]]) -> None:
    """Compare what was read of a file with what is there. Raises: Changed; BadInput if it cannot be read."""
    for start, end, crc in parts:
        if read_crc(source, start, end)[0] != crc:
            raise Changed(
                f"{printable(source.path)} was changed: its bytes {start:,} to {end:,} are not those that were read",
                do="give the same file again, or --restart to make the shards again, or another --out FOLDER",
            )


def read_crc(source: Source, start: int, end: int) -> tuple[int, list[int | None]]:
    """Give the CRC-32 of a part of a file, and the file's identity after it was read. Raises: BadInput."""
    crc = 0
    try:
        # O_NONBLOCK: a pipe that has taken its place is not waited for, but refused by pread().
        fd = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            while start < end and (got := os.pread(fd, min(MIB, end - start), start)):
                crc = isal_zlib.crc32(got, crc)
                start += len(got)
            return crc if start == end else ~crc & 0xFFFFFFFF, _identity(os.fstat(fd))
        finally:
            os.close(fd)
    except OSError as error:
        name = printable(source.path)
        raise BadInput(f"{name} cannot be read: {error.strerror}", do=f"ls -l {shell_word(source.path)}") from error


def join_crc(first: int, second: int, size: int) -> int:
    """Give the CRC-32 of two texts, one after the other, from that of each and the bytes of the second."""
    place = 0
    while size:
        if size & 255:
            first = _multiply(first, _power(size & 255, place))
        size, place = size >> 8, place + 1
    return first ^ second


@cache
def _power(number: int, place: int) -> int:
    """Give x to the 8 times `number` times 256 to the `place`, modulo the polynomial."""
    if number == 1:
        power = 1 << 23 if place == 0 else _power(1, place - 1)
        for _ in range(8 if place else 0):
            power = _multiply(power, power)
        return power
    half = _power(number // 2, place)
    return _multiply(_multiply(half, half), _power(1, place)) if number % 2 else _multiply(half, half)


def _multiply(left: int, right: int) -> int:
    """Multiply two polynomials modulo that of CRC-32."""
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = left << 1 & 0xFFFFFFFF
        right = right >> 1 ^ (_POLYNOMIAL if right & 1 else 0)
    return product
