"""Parquet: the documents of one column, some pages at a time, and never a row group at once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oomguard.preparation.engines.allocators import settle_allocators

settle_allocators()

import numpy as np  # noqa: E402
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
                do="give the same input again, or begin again with --restart",
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
    pages = column.pages(group)
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
                "first": max(start, first), "end": end, "need": pages.need(start),
            }  # fmt: skip
        index += count


def read_rows(task: EncodeTask, *, field: str, errors: str, most: int) -> DecodedRows:
    """Decode some rows, as many as have no more than `most` bytes of text, at least one.

    The column may hold strings of any Arrow type, dictionaries of them, or binary values, which are taken as UTF-8.
    Raises: BadRow for a null, unless errors="skip" leaves such rows out, and for damaged pages.
    """
    assert task.path is not None
    try:
        column = _open(task.path, field)
        with _damage("", f"row group {task.group}"):
            texts = column.texts(task, most)
    except OomguardError as error:
        raise BadRow(0, str(error).removeprefix(f"{printable(task.path)}: "), error.do) from error
    done = len(texts)
    rows: Sequence[int] = range(done)
    if texts.null_count:
        valid = texts.is_valid().to_pylist()
        if errors != "skip":
            null = f'null in the column "{printable(field)}"'
            raise BadRow(valid.index(False), null, "leave such rows out with --errors skip")
        rows = [row for row, is_there in enumerate(valid) if is_there]
        texts = texts.drop_null()
    text, offsets = _buffers(texts)
    return DecodedRows(text, offsets, rows, done - len(rows), done)


def _buffers(texts: pa.Array) -> tuple[Any, memoryview]:
    if not len(texts):
        return b"", memoryview(b"\0" * 4).cast("i")
    _, offsets, data = texts.buffers()
    places = memoryview(offsets).cast("B")
    places = places.cast("q") if pa.types.is_large_binary(texts.type) else places.cast("i")
    view = places[texts.offset : texts.offset + len(texts) + 1]
    return (memoryview(data) if data is not None else b""), view


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
        with _damage(self.name, "opening it"):
            self._raw = open(path, "rb")  # noqa: SIM115, PTH123 - open as long as the worker reads this file
        try:
            with _damage(self.name, "reading its footer"):
                self._file = pa.parquet.ParquetFile(
                    path, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True
                )
            self._index = self._find()
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        self._raw.close()
        self._file.close()

    @property
    def groups(self) -> int:
        return int(self._file.num_row_groups)

    def pages(self, group: int) -> ChunkPages:
        if self._pages is None or self._pages[0] != group:
            with _damage(self.name, f"row group {group}"):
                self._pages = group, read_chunk_pages(self._raw, self._chunk(group))
        return self._pages[1]

    def texts(self, task: EncodeTask, most: int) -> pa.Array:
        """Give `binary or large_binary[...]`: the task's rows, or the first of them up to `most` bytes."""
        pages = self.pages(task.group)
        facts = self._facts(task.group)
        if not pages.places or facts.codec not in CODECS or facts.physical_type not in TYPES:
            return _rows(self._file, task, most, column=self._field, group=task.group)
        end = task.page + task.pages
        first, last = pages.place(task.page), pages.place_behind(end - 1)
        head = b""
        is_coded = pages.dictionary is not None and pages.pages[task.page].uses_dictionary
        if pages.dictionary is not None and is_coded:
            head = self._read(pages.dictionary_at, pages.dictionary.header + pages.dictionary.compressed)
        data = wrap_pages(
            head + self._read(first, last - first),
            column=facts,
            values=pages.end(end - 1) - pages.first_rows[task.page],
            dictionary=len(head),
            uncompressed=sum(page.uncompressed + page.header for page in pages.pages[task.page : end]),
        )
        with pa.parquet.ParquetFile(
            pa.BufferReader(data),
            pre_buffer=False,
            read_dictionary=["text"] if is_coded else None,  # a few bytes of numbers may stand for any amount of text
            page_checksum_verification=True,
        ) as file:
            return _rows(file, task, most, column="text", group=0)

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


def _rows(file: Any, task: EncodeTask, most: int, *, column: str, group: int) -> pa.Array:
    skip, left, room = task.skip, task.rows, most
    parts: list[pa.Array] = []
    for batch in file.iter_batches(
        batch_size=task.skip + task.rows, row_groups=[group], columns=[column], use_threads=False
    ):
        texts = batch.column(0)
        if skip >= len(texts):
            skip -= len(texts)
            continue
        texts, skip = texts.slice(skip, left), 0
        fitting = _fitting(texts, room, at_least=not parts)
        is_full = fitting < len(texts)
        parts.append(_plain(texts[:fitting]))
        left -= fitting
        room -= _size(parts[-1])
        if not left or is_full:
            return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
    raise BadInput(f"{left} rows fewer than the footer says", do="get the file again")


def _fitting(texts: pa.Array, most: int, *, at_least: bool) -> int:
    """How many of the first texts have no more than `most` bytes together."""
    if not pa.types.is_dictionary(texts.type):
        texts = _plain(texts)
        offsets = _offsets(texts)
        found = int(np.searchsorted(offsets - offsets[0], most, side="right")) - 1 if len(texts) else 0
    else:
        lengths = np.diff(_offsets(_plain(texts.dictionary)))
        codes = (
            texts.indices.fill_null(0).to_numpy(zero_copy_only=False) if texts.null_count else texts.indices.to_numpy()
        )
        found = int(np.searchsorted(np.cumsum(lengths[codes]), most, side="right")) if len(lengths) else len(texts)
    return max(min(found, len(texts)), int(at_least))


def _offsets(texts: pa.Array) -> Any:
    """Where each text begins in the values, and where the last one ends: int64[text_count + 1]."""
    places = texts.buffers()[1]
    if not len(texts) or places is None:
        return np.zeros(1, np.int64)
    width = np.int64 if pa.types.is_large_binary(texts.type) else np.int32
    return np.frombuffer(places, width)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)


def _size(texts: pa.Array) -> int:
    offsets = _offsets(texts)
    return int(offsets[-1] - offsets[0])


def _plain(texts: pa.Array) -> pa.Array:
    """Give `texts: binary or large_binary[...]`."""
    if pa.types.is_dictionary(texts.type):
        texts = _spelled_out(texts)
    if pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type):
        return texts.view(pa.large_binary())
    if pa.types.is_string(texts.type) or pa.types.is_binary(texts.type):
        return texts.view(pa.binary())
    return texts.cast(pa.large_binary())  # views, fixed width


def _spelled_out(texts: pa.Array) -> pa.Array:
    """Decode a dictionary; where each of its values follows the one before, they are there already."""
    if not texts.null_count and len(texts):
        codes = texts.indices.to_numpy()
        if int(codes[-1]) - int(codes[0]) == len(codes) - 1 and (np.diff(codes) == 1).all():
            return texts.dictionary.slice(int(codes[0]), len(codes))
    return texts.dictionary_decode()


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
