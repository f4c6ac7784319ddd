"""Parquet: the documents of one column, some pages at a time, and never a row group at once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from oomguard.preparation.engines.allocators import settle_allocators

settle_allocators()

import pyarrow as pa  # noqa: E402 - its memory pool is chosen when it is imported
import pyarrow.parquet  # noqa: E402

from oomguard.errors import BadInput, Changed, OomguardError  # noqa: E402
from oomguard.preparation.reading.parquet_file import CODECS, TYPES, ColumnFacts, wrap_pages  # noqa: E402
from oomguard.preparation.reading.parquet_pages import ChunkPages, read_chunk_pages  # noqa: E402
from oomguard.text import printable  # noqa: E402
from oomguard.units import KIB  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.engines.messages import EncodeTask

_BUFFER = 64 * KIB
_NAMES_SHOWN = 12
_SPLIT = 8  # a page of more than so many chunks is divided by rows


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


def plan_groups(asked: dict[str, Any]) -> dict[str, Any]:
    """Divide the rows of some row groups into ranges: whole pages of about `chunk` bytes of text, or parts of one.

    What is wrong with the file is in the answer.
    """
    try:
        column = _open(asked["path"], asked["field"])
        total = column.groups
        if asked["group"] > total:
            raise Changed(
                f"{column.name}: {total} row groups; the earlier run had read {asked['group']}",
                do="give the same input again, or begin again with --restart",
            )
        last = min(total, asked["group"] + asked["groups"])
        ranges: list[dict[str, Any]] = []
        for group in range(asked["group"], last):
            first = asked["row"] if group == asked["group"] else 0
            ranges += _ranges(column, group, first, chunk=asked["chunk"], most=asked["most"])
    except OomguardError as error:
        return {"error": {"class": type(error).__name__, "what": str(error), "do": error.do}}
    return {"total": total, "next": last, "ranges": ranges}


def _ranges(column: _Column, group: int, first: int, *, chunk: int, most: int) -> Iterator[dict[str, Any]]:
    pages = column.pages(group)
    index = 0
    while index < len(pages.pages):
        count, text = 1, pages.text_of(index)
        while index + count < len(pages.pages) and text + pages.text_of(index + count) <= chunk:
            text += pages.text_of(index + count)
            count += 1
        start, end = pages.first_rows[index], pages.end(index + count - 1)
        step = end - start
        if count == 1 and pages.most_text_of(index) > min(most, _SPLIT * chunk):
            step = pages.rows_within(start, chunk, most=most)
        for low in range(start, end, step):
            high = min(low + step, end)
            if high > first:
                # A range that was begun is read from its beginning, and what was done is passed over.
                yield {
                    "group": group, "page": index, "pages": count, "skip": max(low, first) - start,
                    "rows": high - max(low, first), "size": text, "offset": pages.place(index),
                    "first": max(low, first), "end": high, "need": pages.need(start),
                }  # fmt: skip
        index += count


def read_rows(task: EncodeTask, *, field: str, errors: str) -> DecodedRows:
    """Decode some rows.

    The column may hold strings of any Arrow type, dictionaries of them, or binary values, which are taken as UTF-8.
    Raises: BadRow for a null, unless errors="skip" leaves such rows out, and for damaged pages.
    """
    assert task.path is not None
    try:
        column = _open(task.path, field)
        with _damage("", f"row group {task.group}"):
            texts = column.texts(task)
    except OomguardError as error:
        raise BadRow(0, str(error).removeprefix(f"{printable(task.path)}: "), error.do) from error
    if len(texts) != task.rows:
        raise BadRow(len(texts), f"fewer rows than the footer says ({len(texts)} of {task.rows})", "get the file again")
    rows: Sequence[int] = range(len(texts))
    if texts.null_count:
        valid = texts.is_valid().to_pylist()
        if errors != "skip":
            null = f'null in the column "{printable(field)}"'
            raise BadRow(valid.index(False), null, "leave such rows out with --errors skip")
        rows = [row for row, is_there in enumerate(valid) if is_there]
        texts = texts.drop_null()
    text, offsets = _buffers(texts)
    return DecodedRows(text, offsets, rows, task.rows - len(rows))


def _buffers(texts: pa.Array) -> tuple[Any, memoryview]:
    if not len(texts):
        return b"", memoryview(b"\0" * 4).cast("i")
    _, offsets, data = texts.buffers()
    places = memoryview(offsets).cast("B")
    places = places.cast("q") if pa.types.is_large_binary(texts.type) else places.cast("i")
    view = places[texts.offset : texts.offset + len(texts) + 1]
    return (memoryview(data) if data is not None else b""), view


@lru_cache(maxsize=1)
def _open(path: str, field: str) -> _Column:
    return _Column(path, field)


class _Column:
    def __init__(self, path: str, field: str) -> None:
        self.name = printable(path)
        self._field = field
        with _damage(self.name, "opening it"):
            self._raw = open(path, "rb")  # noqa: SIM115, PTH123 - open as long as the worker reads this file
        with _damage(self.name, "reading its footer"):
            self._file = pa.parquet.ParquetFile(
                path, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True
            )
        self._index = self._find()
        self._pages: tuple[int, ChunkPages] | None = None

    @property
    def groups(self) -> int:
        return int(self._file.num_row_groups)

    def pages(self, group: int) -> ChunkPages:
        if self._pages is None or self._pages[0] != group:
            with _damage(self.name, f"row group {group}"):
                self._pages = group, read_chunk_pages(self._raw, self._chunk(group))
        return self._pages[1]

    def texts(self, task: EncodeTask) -> pa.Array:
        """Give `binary or large_binary[task.rows]`."""
        pages = self.pages(task.group)
        facts = self._facts(task.group)
        if not pages.places or facts.codec not in CODECS or facts.physical_type not in TYPES:
            return _taken(self._file, task, column=self._field, group=task.group)
        end = task.page + task.pages
        first, last = pages.place(task.page), pages.place_behind(end - 1)
        head = b""
        if pages.dictionary is not None:
            head = self._read(pages.dictionary_at, pages.dictionary.header + pages.dictionary.compressed)
        values = pages.end(end - 1) - pages.first_rows[task.page]
        data = wrap_pages(
            head + self._read(first, last - first),
            column=facts,
            values=values,
            dictionary=len(head),
            uncompressed=sum(page.uncompressed + page.header for page in pages.pages[task.page : end]),
        )
        reader = pa.BufferReader(data)
        with pa.parquet.ParquetFile(reader, pre_buffer=False, page_checksum_verification=True) as file:
            return _taken(file, task, column="text", group=0)

    def _read(self, at: int, size: int) -> bytes:
        self._raw.seek(at)
        data: bytes = self._raw.read(size)
        if len(data) < size:
            raise OSError("the file ends within a page")
        return data

    def _chunk(self, group: int) -> Any:
        return self._file.metadata.row_group(group).column(self._index)

    def _facts(self, group: int) -> ColumnFacts:
        column = self._file.schema.column(self._index)
        return ColumnFacts(
            physical_type=column.physical_type,
            length=max(0, column.length),
            optional=column.max_definition_level > 0,
            codec=self._chunk(group).compression,
        )

    def _find(self) -> int:
        schema, field = self._file.schema_arrow, self._field
        found = schema.get_all_field_indices(field)
        if len(found) != 1:
            names = [f'"{printable(name)}"' for name in schema.names[:_NAMES_SHOWN]]
            more = ", ..." if len(schema.names) > _NAMES_SHOWN else ""
            what = f'no column "{printable(field)}"' if not found else f'{len(found)} columns "{printable(field)}"'
            raise BadInput(
                f"{self.name}: {what}; there are: {', '.join(names) or 'none'}{more}",
                do="name the column with --text-field NAME",
            )
        kind = schema.field(field).type
        if not _is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise BadInput(
                f'{self.name}: the column "{printable(field)}" holds {kind}, not strings',
                do="name the column with the text with --text-field NAME",
            )
        paths = [self._file.schema.column(i).path for i in range(len(self._file.schema))]
        return paths.index(field)


def _taken(file: Any, task: EncodeTask, *, column: str, group: int) -> pa.Array:
    """Take the rows of a task, in steps that hold no more than it: what is passed over may be much longer."""
    skip = task.skip
    parts: list[pa.Array] = []
    left = task.rows
    if not left:
        return pa.array([], pa.binary())
    for batch in file.iter_batches(batch_size=task.rows, row_groups=[group], columns=[column], use_threads=False):
        texts = batch.column(0)
        if skip >= len(texts):
            skip -= len(texts)
            continue
        texts = _plain(texts.slice(skip, left))
        skip = 0
        parts.append(texts)
        left -= len(texts)
        if not left:
            break
    return parts[0] if len(parts) == 1 else pa.concat_arrays(parts or [pa.array([], pa.binary())])


def _plain(texts: pa.Array) -> pa.Array:
    """Give `texts: binary or large_binary[...]`."""
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    if pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type):
        return texts.view(pa.large_binary())
    if pa.types.is_string(texts.type) or pa.types.is_binary(texts.type):
        return texts.view(pa.binary())
    return texts.cast(pa.large_binary())  # views, fixed width


def _is_text(kind: Any) -> bool:
    checks = ("string", "large_string", "binary", "large_binary", "fixed_size_binary", "string_view", "binary_view")
    return any(getattr(pa.types, f"is_{check}")(kind) for check in checks)


@contextmanager
def _damage(name: str, where: str) -> Iterator[None]:
    start = f"{name}: " if name else ""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise BadInput(f"{name or 'the file'} cannot be read: {error.strerror}", do=f"ls -l {name}") from error
        raise BadInput(
            f"{start}{where}: damaged or cut off, or no parquet file: {error}", do="get the file again"
        ) from error
