"""Arrow IPC files and streams, Feather, and the files of `datasets`: the documents of one column, batch by batch.

The file is mapped, so that what is not compressed is read where it lies and takes no memory of its own. What one
batch takes when its buffers are decompressed stands in its message, and is asked for before.
Source: Message.fbs, Schema.fbs and "Encapsulated message format" of the Arrow columnar format 1.4.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.reading.arrow_texts import find_column, fitting, inner, plain
from oomguard.preparation.reading.pieces import Packer, Room, packed
from oomguard.text import printable

# isort: split
import pyarrow as pa  # behind what settles its allocator
import pyarrow.ipc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.pieces import Found, Piece, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source

_FILE = b"ARROW1"
_USUAL = 16 << 20  # bytes of a decompressed batch: within the reader's usual need
_CONTINUES = b"\xff\xff\xff\xff"
_HEADER_TYPE, _HEADER, _BODY, _COMPRESSION, _BUFFERS = 1, 2, 3, 3, 2  # fields of Message and of RecordBatch
_RECORD_BATCH = 3  # MessageHeader


def iter_arrow(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the texts of the column.

    Positions are the batch and the row in it; the batches of streams that follow each other in a file are counted on.
    Raises: BadInput for damaged data, and for a null unless errors="skip"; BudgetTooSmall for too large a batch.
    """
    name = printable(source.path)
    at = resume or {"batch": 0, "row": 0, "rows": 0}
    packer = Packer(options, task="documents", word="row", number=at["rows"])
    batches = _Batches(source, name, reserve)
    room = Room(name, options, reserve)
    try:
        yield from packed(_found(batches, at, options.piece_bytes, room, packer), packer, at)
    finally:
        batches.close()


def require_arrow_column(path: str, field: str) -> None:
    """Raises: BadInput if the file cannot be read, or has no such column of text."""
    name = printable(path)
    with _damage(name), pa.memory_map(path) as file:
        is_file = file.read(len(_FILE)) == _FILE
        file.seek(0)
        if file.size():
            find_column((pa.ipc.open_file if is_file else pa.ipc.open_stream)(file).schema, field, name)


def _found(batches: _Batches, at: dict[str, Any], most: int, room: Room, packer: Packer) -> Iterator[Found]:
    done = at["rows"]
    for number, texts, read_to in batches.after(at["batch"]):
        row = at["row"] if number == at["batch"] else 0
        while row < len(texts):
            for document in _documents(texts[row:], most, room, packer):
                row, done = row + 1, done + 1
                yield document, done - 1, {"batch": number, "row": row, "rows": done}, read_to


def _documents(texts: pa.Array, most: int, room: Room, packer: Packer) -> list[memoryview | None]:
    """Give the first texts: as many as have no more than `most` bytes together, one at least."""
    fit = fitting(texts, most, at_least=True)
    found = plain(texts[:fit])
    if fit == 1 and found[0].is_valid:
        room.ask(len(found[0].as_buffer()), packer.where)
    return [memoryview(one.as_buffer()) if one.is_valid else None for one in found]


class _Batches:
    def __init__(self, source: Source, name: str, reserve: Reserve) -> None:
        self._source = source
        self._name = name
        self._reserve = reserve
        self._asked = _USUAL
        self._path: tuple[str, ...] = ()
        self._buffers = slice(None)
        with _damage(name):
            self._map = pa.memory_map(source.path)
        self.size = int(self._map.size())

    def close(self) -> None:
        self._map.close()

    def after(self, first: int) -> Iterator[tuple[int, pa.Array, int]]:
        """Give the column of each batch from number `first` on, the number, and how far it reaches in the file."""
        with _damage(self._name):
            is_file = self._map.read(len(_FILE)) == _FILE if self.size >= len(_FILE) else False
            self._map.seek(0)
            yield from self._of_file(first) if is_file else self._of_streams(first)

    def _of_file(self, first: int) -> Iterator[tuple[int, pa.Array, int]]:
        plain_reader = pa.ipc.open_file(self._map)
        reader = pa.ipc.open_file(self._map, options=self._wanted(plain_reader.schema))
        at = len(_FILE) + 2  # the messages lie behind each other, as every writer has them
        for number in range(reader.num_record_batches):
            size, at = _next_batch(self._map, at, self._buffers)
            if number < first:
                continue
            self._ask(size, number)
            batch = reader.get_batch(number)
            yield number, self._column(batch), at

    def _of_streams(self, first: int) -> Iterator[tuple[int, pa.Array, int]]:
        number = 0
        while self._map.tell() < self.size:
            start = self._map.tell()
            schema = pa.ipc.open_stream(self._map).schema
            self._map.seek(start)
            reader = pa.ipc.open_stream(self._map, options=self._wanted(schema))
            while True:
                at = int(self._map.tell())
                self._ask(_next_batch(self._map, at, self._buffers)[0], number)
                self._map.seek(at)
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    break
                if number >= first:
                    yield number, self._column(batch), int(self._map.tell())
                number += 1

    def _wanted(self, schema: Any) -> Any:
        self._path = find_column(schema, self._source.text_field, self._name)
        index = schema.get_field_index(self._path[0])
        self._buffers = _buffers_of(schema, index)
        return pa.ipc.IpcReadOptions(included_fields=[index], use_threads=False)

    def _column(self, batch: Any) -> pa.Array:
        return inner(batch.column(0), self._path[1:])

    def _ask(self, size: int, number: int) -> None:
        if size > self._asked:
            self._asked = size
            self._reserve(size, f"{self._name}: batch {number}, which is compressed as a whole")


def _next_batch(file: Any, at: int, buffers: slice) -> tuple[int, int]:
    """Give the bytes that the buffers of the next batch from `at` on take when decompressed, and where it ends.

    Each compressed buffer begins with its size, -1 where it was left as it is. 0: nothing has to be decompressed.
    """
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[:4] != _CONTINUES:
            return 0, at  # the end; or as before Arrow 0.15, which knew no compression
        length = int.from_bytes(head[4:], "little")
        metadata = file.read(length)
        try:
            message = _Table(metadata, struct.unpack_from("<I", metadata)[0])
            body, behind = at + 8 + length, at + 8 + length + message.int64(_BODY)
            if message.number(_HEADER_TYPE) == _RECORD_BATCH:
                return _decompressed(file, message.table(_HEADER), body, buffers), behind
            at = behind  # a schema, a dictionary
        except (struct.error, IndexError):
            return 0, at  # damaged: the reading will say so


def _decompressed(file: Any, batch: _Table, body: int, buffers: slice) -> int:
    total = 0
    if batch.place(_COMPRESSION) is not None:
        for offset, size in batch.pairs(_BUFFERS)[buffers]:
            if size >= 8:
                file.seek(body + offset)
                total += max(struct.unpack("<q", file.read(8))[0], 0)
    return total


def _buffers_of(schema: Any, index: int) -> slice:
    """Which buffers of a batch a column has; all of them where its types do not say."""
    counts = [_buffer_count(schema.field(number).type) for number in range(index + 1)]
    known = [count for count in counts if count is not None]
    return slice(sum(known[:-1]), sum(known)) if len(known) == len(counts) else slice(None)


def _buffer_count(kind: Any) -> int | None:
    types = pa.types
    if types.is_null(kind):
        return 0
    if types.is_dictionary(kind):
        return 2
    if types.is_string_view(kind) or types.is_binary_view(kind) or types.is_union(kind):
        return None
    own = 2
    if types.is_struct(kind) or types.is_fixed_size_list(kind):
        own = 1
    elif types.is_string(kind) or types.is_binary(kind) or types.is_large_string(kind) or types.is_large_binary(kind):
        own = 3
    if not kind.num_fields:
        return own
    inner_counts = [_buffer_count(kind.field(number).type) for number in range(kind.num_fields)]
    return None if None in inner_counts else own + sum(count for count in inner_counts if count is not None)


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

    def table(self, field: int) -> _Table:
        return _Table(self._data, self._behind(field))

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


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise BadInput(f"{name} cannot be read: {error.strerror}", do=f"ls -l {name}") from error
        raise BadInput(f"{name}: damaged or cut off, or not Arrow: {error}", do="download the file again") from error
