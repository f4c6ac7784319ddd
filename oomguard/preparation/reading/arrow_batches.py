"""Arrow IPC files and streams, Feather, and the files of `datasets`: the documents of one column, batch by batch.

The file is mapped, so that what is not compressed is read where it lies and takes no memory of its own. What one
batch takes when its buffers are decompressed stands in its message, and is asked for before.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.kernel.plain_files import by_descriptor
from oomguard.preparation.reading.arrow_messages import FILE_MAGIC, Messages, OutsideError, batch_places, start_of_file
from oomguard.preparation.reading.arrow_texts import find_column, fitting, inner, plain, require_inside
from oomguard.preparation.reading.pieces import USUAL, Packer, Room, packed
from oomguard.preparation.reading.recognising import other_kind
from oomguard.text import printable, shell_word

# isort: split
import pyarrow as pa  # behind what settles its allocator
import pyarrow.ipc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.pieces import Found, Piece, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source

_LEAST_TEXT = 16  # bytes that a text counts as at the least in a piece


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
    with _damage(path), pa.memory_map(path) as file:
        is_file = file.read(len(FILE_MAGIC)) == FILE_MAGIC
        file.seek(0)
        if file.size():
            find_column((pa.ipc.open_file if is_file else pa.ipc.open_stream)(file).schema, field, name)


def _found(batches: _Batches, at: dict[str, Any], most: int, room: Room, packer: Packer) -> Iterator[Found]:
    done = at["rows"]
    for number, texts, read_to in batches.after(at["batch"]):
        row = at["row"] if number == at["batch"] else 0
        while row < len(texts):
            for document in _documents(texts[row : row + most // _LEAST_TEXT + 1], most, room, packer):
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
        self._asked = USUAL
        self._path: tuple[str, ...] = ()
        with _damage(source.path):
            fd = source.open_here()
            try:
                self._map = pa.memory_map(by_descriptor(fd, source.path))
            finally:
                os.close(fd)
        self.size = int(self._map.size())

    def close(self) -> None:
        self._map.close()

    def after(self, first: int) -> Iterator[tuple[int, pa.Array, int]]:
        """Give the column of each batch from number `first` on, the number, and how far it reaches in the file."""
        with _damage(self._source.path):
            is_file = self._map.read(len(FILE_MAGIC)) == FILE_MAGIC if self.size >= len(FILE_MAGIC) else False
            self._map.seek(0)
            yield from self._of_file(first) if is_file else self._of_streams(first)

    def _of_file(self, first: int) -> Iterator[tuple[int, pa.Array, int]]:
        whole = pa.ipc.open_file(self._map)
        # With a choice of columns, a file's reader copies what it reads: only where it has to be decompressed anyway.
        chosen = pa.ipc.open_file(self._map, options=self._wanted(whole.schema))
        index = whole.schema.get_field_index(self._path[0])
        messages = Messages(self._map, start_of_file(self._map), self._source.text_field)
        places = batch_places(self._map, self.size)
        if len(places) != whole.num_record_batches:
            raise OutsideError("its footer is damaged")
        for number in range(first, len(places)):
            message = messages.batch_at(places[number])
            if message is not None:
                self._ask(message.need, number)
            is_packed = message is None or message.need > 0
            batch = (chosen if is_packed else whole).get_batch(number)
            column = batch.column(0 if is_packed else index)
            yield number, self._text_of(batch, column), self.size if message is None else message.end

    def _of_streams(self, first: int) -> Iterator[tuple[int, pa.Array, int]]:
        number = 0
        while (start := int(self._map.tell())) < self.size:
            schema = pa.ipc.open_stream(self._map).schema
            self._map.seek(start)
            reader = pa.ipc.open_stream(self._map, options=self._wanted(schema))
            messages = Messages(self._map, start, self._source.text_field).batches()
            while True:
                at = self._map.tell()
                if message := next(messages, None):
                    self._ask(message.need, number)
                self._map.seek(at)
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    break
                if number >= first:
                    yield number, self._text_of(batch, batch.column(0)), int(self._map.tell())
                number += 1

    def _text_of(self, batch: pa.RecordBatch, column: pa.Array) -> pa.Array:
        """Arrow takes lengths and places as they come: what leads out of the buffers would end this process."""
        if len(column) != batch.num_rows:
            raise OutsideError(f"a batch of {batch.num_rows} rows has a column of {len(column)}")
        column.validate()
        texts = inner(column, self._path[1:])
        require_inside(texts)
        return texts

    def _wanted(self, schema: Any) -> Any:
        self._path = find_column(schema, self._source.text_field, self._name)
        index = schema.get_field_index(self._path[0])
        return pa.ipc.IpcReadOptions(included_fields=[index], use_threads=False)

    def _ask(self, size: int, number: int) -> None:
        if size > self._asked:
            self._reserve(size, f"{self._name}: batch {number}, which is compressed as a whole")
            self._asked = size


@contextmanager
def _damage(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, OutsideError, UnicodeDecodeError) as error:  # the last: of a name
        name = printable(path)
        if isinstance(error, OSError) and error.errno is not None:
            raise BadInput(f"{name} cannot be read: {error.strerror}", do=f"ls -l {shell_word(path)}") from error
        damage = BadInput(f"{name}: damaged or cut off, or not Arrow: {error}", do="download the file again")
        raise (other_kind(path, "arrow") or damage) from error
