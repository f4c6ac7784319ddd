"""What the batches of an Arrow file take when they are read, as its messages say it.

Without pyarrow: the coordinator, which plans memory, is without it.
Source: Message.fbs, Schema.fbs and "Encapsulated message format" of the Arrow columnar format 1.4.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.reading.fields import paths_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_MAGIC = b"ARROW1"
FILE_START = 8  # of the first message in a file: the magic, padded
_CONTINUES = b"\xff\xff\xff\xff"
_LONGEST = 64 << 20  # of a message without its body
_HEADER_TYPE, _HEADER, _BODY = 1, 2, 3  # fields of Message
_SCHEMA, _RECORD_BATCH = 1, 3  # MessageHeader
_FIELDS = 1  # of Schema
_NAME, _TYPE, _DICTIONARY, _CHILDREN = 0, 2, 4, 5  # of Field
_BUFFERS, _COMPRESSION = 2, 3  # of RecordBatch
_DAMAGES = (struct.error, IndexError, RecursionError)  # what a place that is none, or that leads back, makes of it
# How many buffers a column of a type has, without those of its children; the others have two. Unions differ between
# versions, and of views the batch says it.
_OWN_BUFFERS: dict[int, int | None] = {
    1: 0, 4: 3, 5: 3, 13: 1, 14: None, 16: 1, 19: 3, 20: 3, 22: 0, 23: None, 24: None, 25: 3, 26: 3,
}  # fmt: skip


class File(Protocol):
    """What is needed of a file, mapped or not."""

    def seek(self, offset: int, /) -> object:
        """Go there."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A record batch: where its message ends, and what one column of it takes, in bytes."""

    end: int
    need: int  # its buffers as they are and decompressed; 0: nothing has to be decompressed


class OutsideError(Exception):
    """A batch is damaged so that Arrow would read what is none of it."""


class Messages:
    """The messages of a stream, or of those within a file, from one place on."""

    def __init__(self, file: File, start: int, field: str) -> None:
        """`start`: of the schema; `field`: the column that is read, as --text-field says it."""
        self._file = file
        self._start = start
        self._buffers = slice(None)
        for kind, table, _, _ in self._all(start):
            if kind == _SCHEMA:
                with suppress(*_DAMAGES):  # the reading will say so
                    self._buffers = _buffers_of(table, field)
            break

    def batches(self) -> Iterator[Batch]:
        """Give the batches, up to the end or to what is no message."""
        for kind, table, body, end in self._all(self._start):
            if kind == _RECORD_BATCH:
                need = self._need(table, body, end)
                if need is None:
                    return
                yield Batch(end, need)

    def _all(self, at: int) -> Iterator[tuple[int, _Table, int, int]]:
        """Give each message's kind, its header, and where its body begins and ends."""
        while True:
            self._file.seek(at)
            head = self._file.read(8)
            size = int.from_bytes(head[4:], "little")
            if len(head) < 8 or head[:4] != _CONTINUES or not 0 < size <= _LONGEST:
                return  # the end; or as before Arrow 0.15, which knew no compression
            metadata = self._file.read(size)
            try:
                message = _Table(metadata, struct.unpack_from("<I", metadata)[0])
                body = at + 8 + size
                end = body + message.int64(_BODY)
                yield message.number(_HEADER_TYPE), message.table(_HEADER), body, end
            except _DAMAGES:
                return  # damaged: the reading will say so
            if end < body:
                return
            at = end

    def _need(self, batch: _Table, body: int, end: int) -> int | None:
        """Each compressed buffer begins with its size, -1 where it was left as it is. None: damaged."""
        total = 0
        try:
            buffers = batch.pairs(_BUFFERS)
            if any(offset < 0 or size < 0 or body + offset + size > end for offset, size in buffers):
                raise OutsideError("a buffer of a batch lies outside of it")
            if batch.place(_COMPRESSION) is None:
                return 0
            for offset, size in buffers[self._buffers]:
                if size >= 8:
                    self._file.seek(body + offset)
                    total += size + max(struct.unpack("<q", self._file.read(8))[0], 0)
        except _DAMAGES:
            return None
        return total


def largest_batch(path: str, field: str, *, most: int) -> int:
    """What the largest of the first `most` batches of a file needs beyond its mapping, in bytes."""
    with open_regular(path) as file:
        start = FILE_START if file.read(len(FILE_MAGIC)) == FILE_MAGIC else 0
        largest = 0
        for number, batch in enumerate(Messages(file, start, field).batches()):
            largest = max(largest, batch.need)
            if not largest or number + 1 >= most:  # one that is not compressed stands for all
                break
    return largest


def _buffers_of(schema: _Table, field: str) -> slice:
    """Which buffers of a batch the column has; all of them where that is not known."""
    wanted = [path[0] for path in paths_of(field)]
    places: dict[str, slice] = {}
    first = 0
    for column in schema.tables(_FIELDS):
        count = _buffer_count(column)
        if count is None:
            break
        places.setdefault(column.text(_NAME), slice(first, first + count))
        first += count
    return next((places[name] for name in wanted if name in places), slice(None))


def _buffer_count(field: _Table) -> int | None:
    if field.place(_DICTIONARY) is not None:
        return 2
    counts = [_OWN_BUFFERS.get(field.number(_TYPE), 2), *map(_buffer_count, field.tables(_CHILDREN))]
    return None if None in counts else sum(count for count in counts if count is not None)


class _Table:
    """A table of a flatbuffer."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._fields = at - struct.unpack_from("<i", data, at)[0]

    def place(self, field: int) -> int | None:
        size = struct.unpack_from("<H", self._data, self._fields)[0]
        at = 4 + 2 * field
        offset = struct.unpack_from("<H", self._data, self._fields + at)[0] if at < size else 0
        return self._at + offset if offset else None

    def number(self, field: int) -> int:
        place = self.place(field)
        return 0 if place is None else self._data[place]

    def int64(self, field: int) -> int:
        place = self.place(field)
        return 0 if place is None else int(struct.unpack_from("<q", self._data, place)[0])

    def text(self, field: int) -> str:
        if self.place(field) is None:
            return ""
        start = self._behind(field)
        size = struct.unpack_from("<I", self._data, start)[0]
        return self._data[start + 4 : start + 4 + size].decode(errors="replace")

    def table(self, field: int) -> _Table:
        return _Table(self._data, self._behind(field))

    def tables(self, field: int) -> list[_Table]:
        """A vector of tables."""
        if self.place(field) is None:
            return []
        start = self._behind(field)
        count = struct.unpack_from("<I", self._data, start)[0]
        places = range(start + 4, start + 4 + 4 * count, 4)
        return [_Table(self._data, at + struct.unpack_from("<I", self._data, at)[0]) for at in places]

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """A vector of structs of two int64."""
        start = self._behind(field)
        count = struct.unpack_from("<I", self._data, start)[0]
        return [struct.unpack_from("<qq", self._data, start + 4 + 16 * number) for number in range(count)]

    def _behind(self, field: int) -> int:
        place = self.place(field)
        if place is None:
            raise IndexError(field)
        return int(place + struct.unpack_from("<I", self._data, place)[0])
