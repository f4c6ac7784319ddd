"""Parquet: the documents of one column, some pages at a time, and never a row group at once."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isal import isal_zlib

from oomguard.errors import BadInput, Changed, OomguardError
from oomguard.kernel.plain_files import by_descriptor, open_input, read_into
from oomguard.preparation.reading.arrow_texts import buffers, ends_of, find_column, fitting, inner, plain, size_of
from oomguard.preparation.reading.parquet_file import (
    CODECS,
    PAGES_AT,
    TYPES,
    ColumnFacts,
    begin_file,
    end_file,
    leaf_path,
)
from oomguard.preparation.reading.parquet_pages import ChunkPages, read_chunk_pages
from oomguard.records import dataclass
from oomguard.text import printable, shell_word
from oomguard.units import KIB, MIB

# isort: split
import pyarrow as pa  # behind what settles its allocator
import pyarrow.parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.engines.messages import EncodeTask

_BUFFER = 64 * KIB
_DEEPEST = 8  # a column in more groups than that is read from the beginning of its row group
_TAIL = 8  # bytes behind the footer: its length, b"PAR1"
_STEP = MIB  # of text that is spelled out at a time
_MOST_ROWS = 1 << 20  # at a time


class BadRow(Exception):
    """What is wrong with a row; rows count from the first that was asked for."""

    def __init__(self, row: int, what: str, do: str) -> None:
        super().__init__(what)
        self.row, self.what, self.do = row, what, do


@dataclass(frozen=True, slots=True)
class DecodedRows:
    """The documents of some rows, one behind the other in Arrow's own buffers."""

    text: Any
    offsets: memoryview  # int32 or int64[document_count + 1]: where each begins
    rows: Sequence[int]  # of each document, from the first that was asked for
    left_out: int
    done: int  # rows, of those that were asked for
    read: tuple[tuple[int, int, int], ...] = ()  # what was read of the file for them: start, end, CRC-32


def plan_groups(asked: dict[str, Any]) -> dict[str, Any]:
    """Divide the rows of some row groups into ranges: whole pages of about `chunk` bytes of text.

    What is wrong with the file is in the answer.
    """
    try:
        column = _open(asked["path"], asked["field"])
        total = column.groups
        if asked["group"] > total:
            raise Changed(
                f"{column.name}: {total} row groups; the earlier run had read {asked['group']}",
                do="give the same input again, or start over with --restart",
            )
        last = min(total, asked["group"] + asked["groups"])
        ranges: list[dict[str, Any]] = []
        for group in range(asked["group"], last):
            first = asked["row"] if group == asked["group"] else 0
            ranges += _ranges(column, group, first, chunk=asked["chunk"])
    except OomguardError as error:
        return {"error": {"class": type(error).__name__, "what": str(error), "do": error.do}}
    return {"total": total, "next": last, "ranges": ranges}


def _ranges(column: _Column, group: int, first: int, *, chunk: int) -> Iterator[dict[str, Any]]:
    """Give pages that follow each other, all with a dictionary or all without, of about `chunk` bytes of text."""
    pages, origin = column.pages(group), column.first_row(group)
    index = 0
    while index < len(pages.pages):
        count, text = 1, pages.text_of(index)
        while (
            index + count < len(pages.pages)
            and pages.pages[index + count].uses_dictionary == pages.pages[index].uses_dictionary
            and text + pages.text_of(index + count) <= chunk
        ):
            text += pages.text_of(index + count)
            count += 1
        start, end = pages.first_rows[index], pages.end(index + count - 1)
        if end > first:
            # Pages that were begun are read from their beginning, and the rows that were done are passed over.
            yield {
                "group": group, "page": index, "pages": count, "skip": max(0, first - start),
                "rows": end - max(start, first), "size": text, "offset": pages.place(index),
                "first": max(start, first), "end": end, "need": pages.need(start), "origin": origin + max(start, first),
            }  # fmt: skip
        index += count


def group_sizes(path: str, field: str) -> list[int]:
    """Bytes of the column in each row group, decompressed, as the footer says. Raises: BadInput."""
    column = _open(path, field)
    try:
        return [column.text_bytes(group) for group in range(column.groups)]
    finally:
        close_file()


def read_rows(task: EncodeTask, *, field: str, errors: str, most: int, once: bool = False) -> Iterator[DecodedRows]:
    """Decode some rows, a part at a time, as many as have no more than `most` bytes of text together, one at least.

    The column may hold strings of any Arrow type, dictionaries of them, or binary values, which are taken as UTF-8.
    once: what is read does not stay in the page cache.
    Raises: BadRow for a null, unless errors="skip" leaves such rows out, and for damaged pages.
    """
    assert task.path is not None
    first = 0
    try:
        column = _open(task.path, field)
        with _damage("", f"row group {task.group}"):
            for texts in column.texts(task, most, once=once):
                if texts.null_count and errors != "skip":  # what comes before may be kept
                    null = texts.is_valid().to_pylist().index(False)
                    if null:
                        before = _decoded(texts[:null], first, field=field, errors=errors)
                        yield replace(before, read=column.take_read())
                    first, texts = first + null, texts[null:]  # noqa: PLW2901 - the rest of them
                yield replace(_decoded(texts, first, field=field, errors=errors), read=column.take_read())
                first += len(texts)
                del texts
    except OomguardError as error:
        raise BadRow(first, str(error).removeprefix(f"{printable(task.path)}: "), error.do) from error


def _decoded(texts: pa.Array, first: int, *, field: str, errors: str) -> DecodedRows:
    done = len(texts)
    rows: Sequence[int] = range(first, first + done)
    if texts.null_count:
        valid = texts.is_valid().to_pylist()
        if errors != "skip":
            null = f'null in the column "{printable(field)}"'
            raise BadRow(first + valid.index(False), null, "leave such rows out with --errors skip")
        rows = [first + row for row, is_there in enumerate(valid) if is_there]
        texts = texts.drop_null()
    text, offsets = buffers(texts)
    return DecodedRows(text, offsets, rows, done - len(rows), done)


def require_column(path: str, field: str) -> None:
    """Raises: BadInput if the file cannot be read, or has no such column of text."""
    _Column(path, field).close()


def _open(path: str, field: str) -> _Column:
    """Give a file's column; the file stays open until another one is asked for."""
    if (path, field) not in _held:
        close_file()
        _held[path, field] = _Column(path, field)
    return _held[path, field]


def close_file() -> None:
    """Close the file that was read last."""
    while _held:
        _held.popitem()[1].close()


_held: dict[tuple[str, str], _Column] = {}


class _Column:
    def __init__(self, path: str, field: str) -> None:
        self.name = printable(path)
        self._field = field
        self._pages: tuple[int, ChunkPages] | None = None
        self._counted = (0, 0)  # a row group, the rows before it
        self._read: list[tuple[int, int, int]] = []  # that was not told yet: start, end, CRC-32
        with _damage(self.name, "opening it"):
            self._raw = os.fdopen(open_input(path), "rb")  # open as long as the worker reads this file
        try:
            with _damage(self.name, "reading its footer"):
                self._file = pa.parquet.ParquetFile(
                    by_descriptor(self._raw.fileno(), path),
                    pre_buffer=False,
                    buffer_size=_BUFFER,
                    page_checksum_verification=True,
                )
            self._index = self._find()
            self._is_deep = len(self._path) > _DEEPEST
            self._note_footer()
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        self._raw.close()
        self._file.close()

    @property
    def groups(self) -> int:
        return int(self._file.num_row_groups)

    def first_row(self, group: int) -> int:
        """The number in the file of a row group's first row; asked for one group after another, mostly."""
        at, row = self._counted if self._counted[0] <= group else (0, 0)
        for before in range(at, group):
            row += int(self._file.metadata.row_group(before).num_rows)
        self._counted = group, row
        return row

    def text_bytes(self, group: int) -> int:
        """Bytes of the column in a row group, decompressed."""
        return int(self._chunk(group).total_uncompressed_size)

    def pages(self, group: int) -> ChunkPages:
        if self._pages is None or self._pages[0] != group:
            with _damage(self.name, f"row group {group}"):
                self._pages = group, read_chunk_pages(self._raw, self._chunk(group))
        return self._pages[1]

    def take_read(self) -> tuple[tuple[int, int, int], ...]:
        """Give what was read of the file since this was asked last, the footer first."""
        read, self._read = tuple(self._read), []
        return read

    def _note_footer(self) -> None:
        size = os.fstat(self._raw.fileno()).st_size
        length = int.from_bytes(os.pread(self._raw.fileno(), 4, size - _TAIL), "little")
        self._note(size - _TAIL - length, size)

    def _note(self, start: int, end: int) -> None:
        """Read a part of the file for its checksum alone."""
        crc = 0
        for at in range(start, end, MIB):
            crc = isal_zlib.crc32(os.pread(self._raw.fileno(), min(MIB, end - at), at), crc)
        self._read.append((start, end, crc))

    def texts(self, task: EncodeTask, most: int, *, once: bool) -> Iterator[pa.Array]:
        """Give `binary or large_binary[...]` each: the task's rows, or the first of them up to `most` bytes."""
        pages = self.pages(task.group)
        facts = self._facts(task.group)
        if not pages.places or facts.codec not in CODECS or facts.physical_type not in TYPES or self._is_deep:
            chunk = self._chunk(task.group)
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            self._note(start, start + chunk.total_compressed_size)
            yield from _rows(self._file, task, most, path=self._path, group=task.group)
            return
        end = task.page + task.pages
        inside = leaf_path(facts)
        first, last = pages.place(task.page), pages.place_behind(end - 1)
        is_coded = pages.dictionary is not None and pages.pages[task.page].uses_dictionary
        head = pages.dictionary.header + pages.dictionary.compressed if pages.dictionary and is_coded else 0
        data = begin_file(head + last - first)
        if head:
            self._read_into(data, PAGES_AT, pages.dictionary_at, head, once=once)
        self._read_into(data, PAGES_AT + head, first, last - first, once=once)
        end_file(
            data,
            column=facts,
            values=pages.end(end - 1) - pages.first_rows[task.page],
            dictionary=head,
            uncompressed=sum(page.uncompressed + page.header for page in pages.pages[task.page : end]),
        )
        with pa.parquet.ParquetFile(
            pa.BufferReader(data),
            pre_buffer=False,
            # A few bytes of numbers may stand for any amount of text; where they do not, Arrow is faster without.
            read_dictionary=[".".join(inside)] if is_coded and pages.most_coded_text() > most else None,
            page_checksum_verification=True,
        ) as file:
            yield from _rows(file, task, most, path=inside, group=0)

    def _read_into(self, data: bytearray, start: int, at: int, size: int, *, once: bool) -> None:
        with memoryview(data) as view:
            got = 0
            while got < size:  # a network's file may give it in parts
                more = read_into(self._raw.fileno(), view[start + got : start + size], at + got, once=once)
                if not more:
                    raise OSError("the file ends within a page")
                got += more
            self._read.append((at, at + size, isal_zlib.crc32(view[start : start + size])))

    def _chunk(self, group: int) -> Any:
        return self._file.metadata.row_group(group).column(self._index)

    def _facts(self, group: int) -> ColumnFacts:
        column = self._file.schema.column(self._index)
        return ColumnFacts(
            physical_type=column.physical_type,
            length=max(0, column.length),
            optional=tuple(self._optional),
            codec=self._chunk(group).compression,
        )

    def _find(self) -> int:
        """The number of the column's leaf: of two columns, paths may be spelled alike."""
        schema = self._file.schema_arrow
        self._path = find_column(schema, self._field, self.name)
        before = schema.get_field_index(self._path[0])
        leaf = sum(_leaves(schema.field(number).type) for number in range(before))
        kind = schema.field(before).type
        self._optional = [schema.field(before).nullable]
        for step in self._path[1:]:
            place = kind.get_field_index(step)
            leaf += sum(_leaves(kind.field(number).type) for number in range(place))
            self._optional.append(kind.field(place).nullable)
            kind = kind.field(place).type
        return leaf


def _leaves(kind: Any) -> int:
    """How many columns of a file an Arrow type is."""
    if pa.types.is_dictionary(kind) or not kind.num_fields:
        return int(not (pa.types.is_struct(kind)))
    return sum(_leaves(kind.field(number).type) for number in range(kind.num_fields))


def _rows(file: Any, task: EncodeTask, most: int, *, path: tuple[str, ...], group: int) -> Iterator[pa.Array]:
    skip, left, room = task.skip, task.rows, most
    for batch in _batches(file, task, path=path, group=group):
        texts = inner(batch.column(batch.schema.get_field_index(path[0])), path[1:])
        del batch
        if skip >= len(texts):
            skip -= len(texts)
            continue
        texts, skip = texts.slice(skip, left), 0
        for part in _parts(texts, room, at_least=left == task.rows):
            left -= len(part)
            room -= size_of(part)
            texts = texts[len(part) :]
            yield part
        if not left or len(texts):
            return
    raise BadInput(f"{left} fewer rows than the footer says", do="download the file again")


def _batches(file: Any, task: EncodeTask, *, path: tuple[str, ...], group: int) -> Iterator[pa.RecordBatch]:
    """Give rows of about as much text as is spelled out at a time.

    Of pages with a dictionary, the text is not known from their sizes, and each batch comes with the dictionary anew:
    of these there are as few as can be, which hold no more than a number for each row.
    """
    kind = file.schema_arrow.field(path[0]).type
    for step in path[1:]:
        kind = kind.field(step).type
    rows = task.skip + task.rows
    wanted = rows if pa.types.is_dictionary(kind) else rows * _STEP // max(task.size, 1)
    return file.iter_batches(  # type: ignore[no-any-return]  # Arrow has no types
        batch_size=max(1, min(wanted, _MOST_ROWS)), row_groups=[group], columns=[".".join(path)], use_threads=False
    )


def _parts(texts: pa.Array, room: int, *, at_least: bool) -> Iterator[pa.Array]:
    """Give the first texts in parts: as many as have no more than `room` bytes together."""
    if not pa.types.is_dictionary(texts.type):
        if fit := fitting(texts, room, at_least=at_least):
            yield plain(texts[:fit])
        return
    ends, at, before = ends_of(texts), 0, 0
    fit = max(int(ends.searchsorted(room, side="right")), int(at_least))
    while at < fit:
        until = max(at + 1, min(fit, int(ends.searchsorted(before + _STEP, side="right"))))
        yield plain(texts[at:until])
        at, before = until, int(ends[until - 1])


@contextmanager
def _damage(name: str, where: str) -> Iterator[None]:
    start = f"{name}: " if name else ""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise BadInput(
                f"{name or 'the file'} cannot be read: {error.strerror}", do=f"ls -l {shell_word(name)}"
            ) from error
        raise BadInput(
            f"{start}{where}: damaged or cut off, or not a Parquet file: {error}", do="download the file again"
        ) from error
