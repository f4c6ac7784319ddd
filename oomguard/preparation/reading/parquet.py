"""Parquet: the documents of one column, page by page and never a row group at once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from oomguard.errors import BadInput, BudgetTooSmall, Changed, OomguardError
from oomguard.preparation.reading.parquet_pages import read_chunk_pages
from oomguard.preparation.reading.pieces import PieceBuilder
from oomguard.text import printable
from oomguard.units import KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.reading.parquet_pages import ChunkPages
    from oomguard.preparation.reading.pieces import Piece, ReadOptions, Reserve
    from oomguard.preparation.reading.sources import Source

_BUFFER = 64 * KIB
_TAIL = 8  # bytes at the end of the file: the footer's length, and a magic number
_USUAL_FOOTER = MIB
_FOOTER_PEAK = 12  # bytes held to parse a footer, by its bytes
_NAMES_SHOWN = 12


def iter_parquet(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the documents of a parquet file in pieces.

    The column may hold strings of any Arrow type, dictionaries of them, or binary values, which are taken as UTF-8.
    Memory goes with the largest page (which holds its documents whole), not with the row group.
    Raises: BadInput for a damaged file, a missing or other column, and a null, unless errors="skip" leaves such rows
    out; BudgetTooSmall for too long a document; Changed; whatever `reserve` does.
    """
    position = resume or {"row_group": 0, "row": 0}
    name = printable(source.path)
    builder = PieceBuilder(name, options, inside=position.get("inside", 0), skipped=position.get("skipped", 0))
    with _damage(name, "opening it"):
        raw = open(source.path, "rb")  # noqa: SIM115, PTH123 - closed below
    with raw:
        with _damage(name, "reading its footer"):
            _ask_for_footer(raw, name, reserve)
            file = pa.parquet.ParquetFile(source.path, pre_buffer=False, buffer_size=_BUFFER)
        with file:
            reader = _ColumnReader(name, raw, file, options, reserve)
            if position["row_group"] > file.num_row_groups:
                raise Changed(
                    f"{name}: {file.num_row_groups} row groups; the earlier run had read {position['row_group']}",
                    do="give the same input again, or begin again with --restart",
                )
            try:
                for group in range(position["row_group"], file.num_row_groups):
                    first = position["row"] if group == position["row_group"] else 0
                    for texts, rows in reader.batches(group, first):
                        yield from builder.add(texts, rows)
                        del texts
            except OomguardError:
                yield from builder.flush()  # what was read before stays read
                raise
            end = {"row_group": file.num_row_groups, "row": 0}
            yield from builder.finish(end, left_out=reader.left_out)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where the documents of a batch stand."""

    group: int
    rows: Sequence[int]  # of each document, in the row group
    end: int  # the row behind the batch
    left_before: int
    first: int  # row of the batch

    def before(self, document: int) -> dict[str, Any]:
        return {"row_group": self.group, "row": self.rows[document]}

    def after(self, document: int) -> dict[str, Any]:
        return {"row_group": self.group, "row": self._behind(document)}

    def where(self, document: int) -> str:
        return f"row group {self.group}, row {self.rows[document]}"

    def left_out(self, document: int, *, behind: bool) -> int:
        if behind:
            return self.left_before + self._behind(document) - self.first - document - 1
        return self.left_before + self.rows[document] - self.first - document

    def _behind(self, document: int) -> int:
        return self.end if document == len(self.rows) - 1 else self.rows[document] + 1


class _ColumnReader:
    def __init__(self, name: str, raw: Any, file: Any, options: ReadOptions, reserve: Reserve) -> None:
        self.left_out = 0
        self._name = name
        self._raw = raw
        self._file = file
        self._options = options
        self._reserve = reserve
        self._asked = 3 * options.unasked  # bytes; what pages of `unasked` bytes need
        self._column = self._find_column()

    def batches(self, group: int, first: int) -> Iterator[tuple[pa.Array, _Rows]]:
        """Give the documents of a row group from row `first` on, about `piece_bytes` at a time."""
        rows = self._file.metadata.row_group(group).num_rows
        if first >= rows:
            return
        with _damage(self._name, f"row group {group}"):
            pages = read_chunk_pages(self._raw, self._file.metadata.row_group(group).column(self._column))
        size = max(1, self._options.piece_bytes * 15 // 16)  # most batches then fit a piece
        batches = self._file.iter_batches(
            batch_size=pages.rows_within(0, size, most=self._options.unasked),
            row_groups=[group],
            columns=[self._options.text_field],
            use_threads=False,
        )
        row = 0
        while row < rows:
            self._ask(pages, group, row)
            if row:  # read anew for each batch: one iterator gives batches of many sizes
                self._file.reader.set_batch_size(pages.rows_within(row, size, most=self._options.unasked))
            with _damage(self._name, f"row group {group}, row {row} on"):
                batch = next(batches, None)
            if batch is None or not batch.num_rows:
                raise BadInput(
                    f"{self._name}: row group {group} has {row} rows, but {rows} by its footer",
                    do="get the file again",
                )
            texts = batch.column(0)
            behind = row + len(texts)
            if behind > first:
                yield self._documents(texts.slice(max(0, first - row)), group, max(row, first))
            del batch, texts
            row = behind

    def _ask(self, pages: ChunkPages, group: int, row: int) -> None:
        need = pages.need(row)
        if need > self._asked:
            low, high = pages.page_rows(row)
            self._reserve(need, f"{self._name}: row group {group}, the page of rows {low} to {high}")
            self._asked = need

    def _documents(self, texts: pa.Array, group: int, first: int) -> tuple[pa.Array, _Rows]:
        end = first + len(texts)
        rows: Sequence[int] = range(first, end)
        left_before = self.left_out
        if texts.null_count:
            present = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False)) + first
            rows = present.tolist()
            if self._options.errors != "skip":
                null = next(row for row in range(first, end) if row - first >= len(rows) or rows[row - first] != row)
                raise BadInput(
                    f"{self._name}: row group {group}, row {null}: null in the column "
                    f'"{printable(self._options.text_field)}"',
                    do="leave such rows out with --errors skip",
                )
            self.left_out += end - first - len(rows)
            texts = texts.drop_null()
        return self._plain(texts, group, rows), _Rows(group, rows, end, left_before, first)

    def _plain(self, texts: pa.Array, group: int, rows: Sequence[int]) -> pa.Array:
        """Give `texts: binary or large_binary[...]`, refusing a document of more than `largest_document`."""
        if pa.types.is_dictionary(texts.type):
            texts = texts.dictionary_decode()
        if pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type):
            texts = texts.view(pa.large_binary())
        elif pa.types.is_string(texts.type) or pa.types.is_binary(texts.type):
            texts = texts.view(pa.binary())
        else:  # views, fixed width
            texts = texts.cast(pa.large_binary())
        if texts.nbytes > self._options.largest_document:
            for row, text in zip(rows, texts, strict=True):
                size = text.as_buffer().size
                if size > self._options.largest_document:
                    raise BudgetTooSmall(
                        f"{self._name}: row group {group}, row {row}: a document of {format_size(size)}, and the "
                        f"longest that fits here is {format_size(self._options.largest_document)}",
                        do=f"give --max-rss {format_size(2 * size)} more than now, or take the row out",
                    )
        return texts

    def _find_column(self) -> int:
        schema, field = self._file.schema_arrow, self._options.text_field
        found = schema.get_all_field_indices(field)
        if len(found) != 1:
            names = [f'"{printable(name)}"' for name in schema.names[:_NAMES_SHOWN]]
            more = ", ..." if len(schema.names) > _NAMES_SHOWN else ""
            what = f'no column "{printable(field)}"' if not found else f'{len(found)} columns "{printable(field)}"'
            raise BadInput(
                f"{self._name}: {what}; there are: {', '.join(names) or 'none'}{more}",
                do="name the column with --text-field NAME",
            )
        kind = schema.field(field).type
        if not _is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise BadInput(
                f'{self._name}: the column "{printable(field)}" holds {kind}, not strings',
                do="name the column with the text with --text-field NAME",
            )
        paths = [self._file.schema.column(i).path for i in range(len(self._file.schema))]
        return paths.index(field)


def _is_text(kind: Any) -> bool:
    checks = ("string", "large_string", "binary", "large_binary", "fixed_size_binary", "string_view", "binary_view")
    return any(getattr(pa.types, f"is_{check}")(kind) for check in checks)


def _ask_for_footer(raw: Any, name: str, reserve: Reserve) -> None:
    """Ask for the memory of a large footer; one of a thousand row groups of three columns has 300 KiB."""
    size = raw.seek(0, 2)
    raw.seek(max(0, size - _TAIL))
    tail = raw.read(_TAIL)
    footer = int.from_bytes(tail[:4], "little")
    if tail[4:] == b"PAR1" and _USUAL_FOOTER < footer < size:
        reserve(_FOOTER_PEAK * footer, f"{name}: its footer")


@contextmanager
def _damage(name: str, where: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise BadInput(f"{name} cannot be read: {error.strerror}", do=f"ls -l {name}") from error
        raise BadInput(
            f"{name}: {where}: damaged or cut off, or no parquet file: {error}", do="get the file again"
        ) from error
