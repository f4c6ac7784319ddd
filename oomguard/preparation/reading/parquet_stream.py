"""Parquet on a server: the documents of one column in their order, for the stream reader.

The footer is asked for once; then Arrow reads the column's chunks from their begin to their end, through a small
buffer, so that a few long requests give all of it, however large a row group is.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, Changed
from oomguard.preparation.reading.arrow_texts import find_column, fitting, inner, plain
from oomguard.preparation.reading.pieces import Packer, ReadOptions, Room, packed
from oomguard.preparation.reading.source import Part
from oomguard.units import KIB

# isort: split
import pyarrow as pa  # behind what settles its allocator
import pyarrow.parquet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.pieces import Found, Piece, Reserve
    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.remote.remote_file import RemoteFile

_BUFFER = 64 * KIB
_BATCH, _MOST_ROWS = 256 * KIB, 256  # text that is decoded at once, if the rows are about as long as each other


def iter_parquet(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the texts of the column; positions are the row group and the row in it.

    Raises: BadInput for damaged data; BudgetTooSmall for too large a document; Changed; Unreachable.
    """
    with _opened(source) as (file, footer):
        room = Room(file.name, options, reserve)
        at = resume or _start(footer, source.begin)
        packer = Packer(options, task="documents", word="row", number=at["rows"])
        yield from packed(_found(file, footer, source, at, options.piece_bytes, room, packer), packer, at)


def group_sizes(source: Source) -> list[int]:
    """Bytes of the column in each row group, decompressed, as the footer says. Raises: BadInput; Unreachable."""
    with _opened(source) as (file, footer):
        column = ".".join(find_column(footer.schema.to_arrow_schema(), source.text_field, file.name))
    return [_size_of(footer.row_group(group), column) for group in range(footer.num_row_groups)]


def look_into(source: Source, *, share: float, most: int) -> tuple[int, list[bytes]]:
    """Give about how much text there is, from what the footer says, and about `most` bytes of it from one row group.

    `share`: of all the text, how much is before that row group ends. Raises: BadInput; Unreachable.
    """
    options = ReadOptions(family="gpt2")
    with _opened(source) as (file, footer):
        column = ".".join(find_column(footer.schema.to_arrow_schema(), source.text_field, file.name))
        sizes = [_size_of(footer.row_group(group), column) for group in range(footer.num_row_groups)]
        reached = list(accumulate(sizes))
        if not reached or not reached[-1]:
            return 0, []
        group = bisect_left(reached, share * reached[-1])
        at, packer = _start(footer, group), Packer(options, task="documents", word="row", number=0)
        room = Room(file.name, options, lambda *_: None)
        one = replace(source, part=Part(group, group + 1))
        documents, size = [], 0
        for text, *_ in _found(file, footer, one, at, options.piece_bytes, room, packer):
            documents += [] if text is None else [bytes(text)]
            size += 0 if text is None else len(text)
            if size >= most:
                break
        # A length of four bytes is before each text; what dictionaries save shows in whole row groups.
        stored = size + 4 * len(documents) if size >= most else sizes[group]
    return round(reached[-1] * size / max(1, stored)), documents


@contextmanager
def _opened(source: Source) -> Iterator[tuple[RemoteFile, Any]]:
    """Give the file and its footer. Raises: BadInput, also for what is damaged where it is read within the block."""
    with closing(source.open_remote()) as file:
        try:
            file.keep_tail()
            yield file, pa.parquet.read_metadata(file)
        except pa.ArrowException as error:
            raise BadInput(f"{file.name}: damaged, or not a Parquet file: {error}", do="look at the file") from error


def _start(footer: Any, group: int) -> dict[str, Any]:
    rows = sum(footer.row_group(before).num_rows for before in range(min(group, footer.num_row_groups)))
    return {"row_group": group, "row": 0, "rows": rows}


def _size_of(facts: Any, column: str) -> int:
    """Bytes of a column in a row group, decompressed."""
    columns = map(facts.column, range(facts.num_columns))
    return sum(one.total_uncompressed_size for one in columns if one.path_in_schema == column)


def _found(
    file: RemoteFile, footer: Any, source: Source, at: dict[str, Any], most: int, room: Room, packer: Packer
) -> Iterator[Found]:
    schema = footer.schema.to_arrow_schema()
    path = find_column(schema, source.text_field, file.name)
    file.drop_tail()
    column = ".".join(path)
    reader = pa.parquet.ParquetFile(
        file, metadata=footer, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True,
    )  # fmt: skip
    if at["row_group"] > footer.num_row_groups:
        raise Changed(f"{file.name}: {footer.num_row_groups} row groups now", do="--restart")
    done = at["rows"]
    end = footer.num_row_groups if source.end is None else source.end
    for group in range(at["row_group"], end):
        facts = footer.row_group(group)
        skip = row = at["row"] if group == at["row_group"] else 0
        size = _size_of(facts, column)
        # Arrow takes a number of rows, and not of bytes. Not as a dictionary: its table would grow with the row group.
        step = max(1, min(_MOST_ROWS, facts.num_rows * _BATCH // max(size, 1)))
        for batch in reader.iter_batches(batch_size=step, row_groups=[group], columns=[column], use_threads=False):
            texts = inner(batch.column(batch.schema.get_field_index(path[0])), path[1:])
            passed = min(skip, len(texts))
            skip, first = skip - passed, passed
            while first < len(texts):
                fit = fitting(texts[first:], most, at_least=True)
                part = plain(texts[first : first + fit])
                if fit == 1 and part[0].is_valid:
                    room.ask(len(part[0].as_buffer()), packer.where)
                for one in part:
                    row, done = row + 1, done + 1
                    yield (
                        memoryview(one.as_buffer()) if one.is_valid else None,
                        done - 1,
                        {"row_group": group, "row": row, "rows": done},
                        file.tell(),
                    )
                first += fit
