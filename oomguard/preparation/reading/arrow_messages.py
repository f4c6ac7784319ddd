"""What the batches of an Arrow file take when they are read, as its messages say it.

Without pyarrow: the coordinator, which plans memory, is without it.
Source: Message.fbs, Schema.fbs and "Encapsulated message format" of the Arrow columnar format 1.4.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.reading.fields import paths_of
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_MAGIC = b"ARROW1"
FILE_START = 8  # of the first message in a file: the magic, padded
_CONTINUES = b"\xff\xff\xff\xff"
_PADDING = 64  # bytes that writers leave free at the most, to align what comes behind
_DICTIONARIES, _BATCHES = 2, 3  # fields of Footer
_BLOCK = [("begin", "<i8"), ("metadata", "<i4"), ("padding", "<i4"), ("body", "<i8")]  # of a message, in bytes
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
    """The file is damaged so that Arrow would read what is none of a batch, or leave out what is one."""


class Messages:
    """The messages of a stream, or of those within a file, from one place on."""

    def __init__(self, file: File, start: int, field: str) -> None:
        """`start`: of the schema; `field`: the column that is read, as --text-field says it."""
        self._file = file
        self._start = start
        self._buffers = slice(None)
        for kind, table, _, _ in _messages(self._file, start):
            if kind == _SCHEMA:
                with suppress(*_DAMAGES):  # the reading will say so
                    self._buffers = _buffers_of(table, field)
            break

    def batches(self) -> Iterator[Batch]:
        """Give the batches, up to the end or to what is no message."""
        for kind, table, body, end in _messages(self._file, self._start):
            if kind == _RECORD_BATCH:
                need = self._need(table, body, end)
                if need is None:
                    return
                yield Batch(end, need)

    def batch_at(self, start: int) -> Batch | None:
        """Give the batch whose message begins at `start`; None: as before Arrow 0.15, or the reading will say it."""
        for kind, table, body, end in _messages(self._file, start):
            need = self._need(table, body, end) if kind == _RECORD_BATCH else None
            return None if need is None else Batch(end, need)
        return None

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


def _messages(file: File, at: int) -> Iterator[tuple[int, _Table, int, int]]:
    """Give each message's kind, its header, and where its body begins and ends."""
    while True:
        file.seek(at)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        if len(head) < 8 or head[:4] != _CONTINUES or not 0 < size <= _LONGEST:
            return  # the end; or as before Arrow 0.15, which knew no compression
        metadata = file.read(size)
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


def batch_places(file: File, size: int) -> list[int]:
    """Where the batches of a file of `size` bytes begin, as its footer says it.

    Raises: OutsideError where the footer leaves out a part of the file or has one twice: nothing but the footer knows
    of a batch, so that one that is missing there would not be read.
    """
    file.seek(max(0, size - len(FILE_MAGIC) - 4))
    length = int.from_bytes(file.read(4), "little")
    start = size - len(FILE_MAGIC) - 4 - length
    if start < FILE_START:
        return []  # the reading will say so
    import numpy as np  # the coordinator is without it

    file.seek(start)
    data = file.read(length)
    try:
        footer = _Table(data, struct.unpack_from("<I", data)[0])
        dictionaries, batches = (
            np.frombuffer(data, _BLOCK, *footer.vector(field)) for field in (_DICTIONARIES, _BATCHES)
        )
    except (*_DAMAGES, ValueError):
        raise OutsideError("its footer is damaged") from None
    blocks = np.concatenate([dictionaries, batches])
    blocks = blocks[np.argsort(blocks["begin"], kind="stable")]
    begins = np.append(blocks["begin"], start)
    reached = _end_of_schema(file)
    ends = np.insert(
        blocks["begin"] + blocks["metadata"] + blocks["body"], 0, begins[0] if reached is None else reached
    )
    wrong = np.flatnonzero((begins < ends) | (begins - ends > _PADDING))
    if len(wrong) or min(blocks["metadata"].min(initial=0), blocks["body"].min(initial=0)) < 0:
        at = int(min(ends[wrong[0]], begins[wrong[0]])) if len(wrong) else start
        raise OutsideError(f"its footer and what is in the file differ from byte {at} on")
    return list(map(int, batches["begin"]))


def start_of_file(file: File) -> int:
    """Where the first message of a file begins: the magic is padded, by some writers up to 64 bytes."""
    file.seek(FILE_START)
    head = file.read(_PADDING)
    return FILE_START + (len(head) - len(head.lstrip(b"\0"))) // 8 * 8


def _end_of_schema(file: File) -> int | None:
    """Where the schema before the first batch ends; None: as before Arrow 0.15, or it is damaged, and not needed."""
    return next((end for _, _, _, end in _messages(file, start_of_file(file))), None)


def largest_batch(path: str, field: str, *, most: int) -> int:
    """What the largest of the first `most` batches of a file needs beyond its mapping, in bytes."""
    with open_regular(path) as file:
        start = start_of_file(file) if file.read(len(FILE_MAGIC)) == FILE_MAGIC else 0
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
        count, start = self.vector(field)
        places = range(start, start + 4 * count, 4)
        return [_Table(self._data, at + struct.unpack_from("<I", self._data, at)[0]) for at in places]

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """A vector of structs of two int64."""
        count, start = self.vector(field)
        return [struct.unpack_from("<qq", self._data, start + 16 * number) for number in range(count)]

    def vector(self, field: int) -> tuple[int, int]:
        """How many items a vector has, and where the first one is."""
        if self.place(field) is None:
            return 0, 0
        start = self._behind(field)
        return struct.unpack_from("<I", self._data, start)[0], start + 4

    def _behind(self, field: int) -> int:
        place = self.place(field)
        if place is None:
            raise IndexError(field)
        return int(place + struct.unpack_from("<I", self._data, place)[0])
