"""Documents out of their buckets, in the order of their hashes: the second half of a shuffle.

A bucket is taken in one pass, or where memory is too small for it in several, each for a stretch of hashes. A document
that would take much of a pass's memory is not held, but read when its turn comes.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from oomguard.kernel import safe_files
from oomguard.preparation.writing.beside_files import read_part
from oomguard.preparation.writing.buckets import KEY_BYTES
from oomguard.preparation.writing.manifest import disk_error
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from oomguard.preparation.writing.buckets import Bucket
    from oomguard.preparation.writing.token_sink import Split

_KEY = np.dtype([("high", ">u8"), ("low", ">u8"), ("tokens", "<u8")])
_STRETCH = 1 << 15  # keys read at once
_RANGES = 12  # bits of a hash, behind those of its bucket, by which a bucket is divided into passes
_DOCUMENT_COST = 96  # bytes of memory beside its tokens: what is in its key, its place, sorting
_GIANT = 16  # a document of more than one in so many bytes of the room is not held
_PIECE = MIB
_MOST_DOCUMENTS = 1 << 14  # in a piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Buckets whose documents stand together."""

    split: Split | None  # None: the place of a token decides
    buckets: Sequence[Bucket]


@dataclass(slots=True)
class _Documents:
    """Documents of a pass: uint64[count] each; `order` sorts them by their hashes."""

    starts: Any  # in the bucket's file, in bytes
    sizes: Any
    order: Any


class ShuffledPieces:
    """The pieces of all sections, one after the other."""

    def __init__(
        self, sections: Sequence[Section], *, token_bytes: int, room: int, when_done: Callable[[Bucket], None]
    ) -> None:
        """`room`: bytes of memory for a pass; `when_done` hears of each bucket whose pieces were all taken."""
        self._sections = sections
        self._token_bytes = token_bytes
        self._room = room
        self._when_done = when_done

    def pieces(self, position: dict[str, int]) -> Iterator[EncodedPiece]:
        """All pieces from a position on, which an earlier piece carried.

        Raises: Changed if a bucket is not as it was left; OomguardError if it cannot be read.
        """
        first = position.get("section", 0), position.get("bucket", 0)
        for number, section in enumerate(self._sections):
            for at, bucket in enumerate(section.buckets):
                if (number, at) < first:
                    continue
                begin = (position["document"], position["token"]) if (number, at) == first and position else (0, 0)
                if begin[0] < bucket.documents:
                    place = {"section": number, "bucket": at}
                    try:
                        yield from self._bucket_pieces(section, bucket, place, *begin)
                    except OSError as error:
                        raise disk_error(error, bucket.tokens.path) from error
                self._when_done(bucket)

    def _bucket_pieces(
        self, section: Section, bucket: Bucket, place: dict[str, int], document: int, token: int
    ) -> Iterator[EncodedPiece]:
        bits = len(section.buckets).bit_length() - 1
        bucket.keys.require_as_left()
        bucket.tokens.require_as_left()
        fds = []
        try:
            for extent in (bucket.keys, bucket.tokens):
                fds.append(-1 if not extent.size else safe_files.open_there(extent.path, os.O_RDONLY))  # noqa: PERF401 - closed if one fails
            reader = _BucketReader(*fds, bucket=bucket, bits=bits, token_bytes=self._token_bytes, room=self._room)
            before = 0
            for begin, end, count in reader.passes():
                if before + count > document:
                    skip = max(0, document - before)
                    for tokens, ends, done, token_done in reader.pieces(begin, end, count, skip, token):
                        yield EncodedPiece(
                            tokens=memoryview(tokens),
                            ends=memoryview(array("q", ends)),
                            split=section.split,
                            count=Totals(tokens=len(tokens) // self._token_bytes),
                            position={**place, "document": before + done, "token": token_done},
                        )
                    token = 0
                before += count
        finally:
            for fd in fds:
                if fd >= 0:
                    os.close(fd)


class _BucketReader:
    """Reads one bucket."""

    def __init__(self, keys: int, tokens: int, *, bucket: Bucket, bits: int, token_bytes: int, room: int) -> None:
        """`bits`: of the hashes, the same in all of the bucket."""
        self._keys, self._tokens = keys, tokens
        self._bucket = bucket
        self._token_bytes = token_bytes
        self._room = room
        self._giant = max(room // _GIANT, _DOCUMENT_COST)
        self._shift = np.uint64(64 - _RANGES - bits)

    def _stretches(self) -> Iterator[Any]:
        for first in range(0, self._bucket.documents, _STRETCH):
            size = min(_STRETCH, self._bucket.documents - first) * KEY_BYTES
            yield np.frombuffer(os.pread(self._keys, size, first * KEY_BYTES), _KEY)

    def _range_of(self, high: Any) -> Any:
        return high.astype(np.uint64) >> self._shift

    def passes(self) -> list[tuple[int, int, int]]:
        """Ranges of hashes, from and to, with how many documents are in each; what is in one fits in the room."""
        documents: dict[int, int] = {}
        costs: dict[int, int] = {}
        for keys in self._stretches():
            sizes = keys["tokens"].astype(np.int64) * self._token_bytes
            held = np.where(sizes > self._giant, 0, sizes) + _DOCUMENT_COST
            ranges, inverse = np.unique(self._range_of(keys["high"]), return_inverse=True)
            counts, sums = np.bincount(inverse), np.bincount(inverse, weights=held)
            for one, count, cost in zip(ranges.tolist(), counts.tolist(), sums.tolist(), strict=True):
                documents[one] = documents.get(one, 0) + count
                costs[one] = costs.get(one, 0) + int(cost)
        passes: list[tuple[int, int, int]] = []
        cost = 0
        for one in sorted(documents):
            if passes and cost + costs[one] <= self._room:
                passes[-1] = passes[-1][0], one + 1, passes[-1][2] + documents[one]
                cost += costs[one]
            else:
                passes.append((one, one + 1, documents[one]))
                cost = costs[one]
        return passes

    def pieces(
        self, begin: int, end: int, count: int, skip: int, token: int
    ) -> Iterator[tuple[bytes, list[int], int, int]]:
        """The documents of a pass without the first `skip`, and of the next one those behind the first `token` tokens.

        Gives tokens, ends of documents in them, how many documents of the pass are done, and tokens of the next one.
        """
        found = self._find(begin, end, count)
        places, held = self._hold(found)
        parts: list[memoryview] = []
        ends: list[int] = []
        size, width = 0, self._token_bytes
        for first in range(skip, count, _MOST_DOCUMENTS):
            chosen = found.order[first : first + _MOST_DOCUMENTS]
            columns = (column[chosen].tolist() for column in (places, found.sizes, found.starts))
            for done, (place, bytes_, start) in enumerate(zip(*columns, strict=True), first):
                if place < 0 or token:  # begun by a run that had less memory
                    if ends:
                        yield b"".join(parts), ends, done, 0
                    yield from self._stream(start, bytes_, done, token)
                    parts, ends, size, token = [], [], 0, 0
                    continue
                parts.append(held[place : place + bytes_])
                size += bytes_
                ends.append(size // width)
                if size >= _PIECE:
                    yield b"".join(parts), ends, done + 1, 0
                    parts, ends, size = [], [], 0
            if ends:
                yield b"".join(parts), ends, min(count, first + _MOST_DOCUMENTS), 0
                parts, ends, size = [], [], 0

    def _find(self, begin: int, end: int, count: int) -> _Documents:
        high, low = np.empty(count, np.uint64), np.empty(count, np.uint64)
        starts, sizes = np.empty(count, np.int64), np.empty(count, np.int64)
        at = offset = 0
        for keys in self._stretches():
            own = keys["tokens"].astype(np.int64) * self._token_bytes
            behind = np.cumsum(own) + offset
            ranges = self._range_of(keys["high"])
            chosen = (ranges >= begin) & (ranges < end)
            more = int(np.count_nonzero(chosen))
            here = slice(at, at + more)
            high[here], low[here] = keys["high"][chosen], keys["low"][chosen]
            starts[here], sizes[here] = (behind - own)[chosen], own[chosen]
            at, offset = at + more, int(behind[-1])
        return _Documents(starts, sizes, np.lexsort((low, high)))

    def _hold(self, found: _Documents) -> tuple[Any, memoryview]:
        """Read what is held, in the order of the file; gives where each document is in it, or -1."""
        is_held = found.sizes <= self._giant
        total = int(found.sizes[is_held].sum())
        if total > self._room:  # as many documents of one range as are never there: none is held
            is_held, total = found.sizes == 0, 0
        places = np.full(len(found.sizes), -1, np.int64)
        own = found.sizes[is_held]
        places[is_held] = np.cumsum(own) - own
        held = memoryview(bytearray(total))
        starts = found.starts[is_held]
        breaks = np.flatnonzero(starts[1:] != starts[:-1] + own[:-1]) + 1  # else one follows the other in the file
        at = 0
        for first, stop in zip([0, *breaks.tolist()], [*breaks.tolist(), len(own)], strict=True):
            if first == stop:
                continue
            start, size = int(starts[first]), int(starts[stop - 1] + own[stop - 1] - starts[first])
            for data in _read(self._tokens, start, size):
                held[at : at + len(data)] = data
                at += len(data)
        return places, held

    def _stream(self, start: int, size: int, done: int, token: int) -> Iterator[tuple[bytes, list[int], int, int]]:
        """One document, a MiB at once."""
        at = token * self._token_bytes
        for data in _read(self._tokens, start + at, size - at):
            at += len(data)
            width = self._token_bytes
            yield (data, [len(data) // width], done + 1, 0) if at == size else (data, [], done, at // width)


def _read(fd: int, start: int, size: int) -> Iterator[bytes]:
    try:
        yield from read_part(fd, start, start + size)
    except EOFError as error:
        raise OSError(0, "it became shorter while it was read") from error
