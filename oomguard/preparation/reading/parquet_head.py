"""How large the pages of a Parquet file are, seen without pyarrow: the coordinator, which plans memory, is without it.

Source: parquet.thrift (FileMetaData and below) in apache/parquet-format.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.reading.fields import paths_of
from oomguard.preparation.reading.parquet_pages import ColumnPlace, NotAPage, ThriftCursor, read_chunk_pages
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from oomguard.preparation.reading.parquet_pages import ChunkPages
    from oomguard.preparation.reading.source import Source

_TAIL = 8  # bytes behind the footer: its length, b"PAR1"
_MOST_FOOTER = 256 * KIB  # of a footer's beginning, which is enough for its schema and the first row group
_FILES = 4  # that are looked into
_PAGES = 64  # of each
_MANY_FILES = 16  # whose footers are read as a whole
_LONGEST_FOOTER = 16 * MIB
_GROUPS = 4  # field of FileMetaData
_COLUMNS = 1  # of RowGroup
_META = 3  # of ColumnChunk
_PATH, _VALUES, _SIZE, _PACKED, _DATA_AT, _DICTIONARY_AT = 3, 5, 6, 7, 9, 11  # of ColumnMetaData


def largest_page(sources: Iterable[Source]) -> tuple[int, int] | None:
    """What the largest page needs of those at the beginning of some files, and its text, in bytes; None: not known.

    Writers make their pages alike, so these few stand for all; one that is larger waits until there is room for it.
    """
    files = sorted({(source.size or 0, source.path, source.text_field) for source in sources})
    count = min(_FILES, len(files))
    chosen = [files[-1 - number * len(files) // count] for number in range(count)]  # the largest file first
    found = [page for _, path, field in chosen if (page := _largest_in(path, field)) is not None]
    return (max(need for need, _ in found), max(text for _, text in found)) if found else None


def _largest_in(path: str, field: str) -> tuple[int, int] | None:
    try:
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            length = int.from_bytes(file.read(4), "little")
            file.seek(max(0, size - _TAIL - length))
            place = _find_column(file.read(min(length, _MOST_FOOTER)), field)
            pages = read_chunk_pages(file, place, most=_PAGES) if place is not None else None
    except (OSError, NotAPage, IndexError):
        return None  # a worker says what is wrong with it
    return _largest(pages) if pages is not None and pages.places else None


def likely_text(sources: Sequence[Source]) -> int | None:
    """About how many bytes of text there are, by the footers of some of the files; None: they do not say it.

    It is no bound: what a dictionary holds once may be there a thousand times, and headers of pages count as well.
    """
    files = sorted({(source.size or 0, source.path, source.text_field) for source in sources})
    count = min(_MANY_FILES, len(files))
    chosen = [files[-1 - number * len(files) // count] for number in range(count)]
    found = [(size, text) for size, path, field in chosen if (text := _text_in(path, field)) is not None]
    seen = sum(size for size, _ in found)
    text = sum(text for _, text in found)
    return text * sum(size for size, _, _ in files) // seen if text else None


def _text_in(path: str, field: str) -> int | None:
    wanted = paths_of(field)
    total = 0
    try:
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            length = int.from_bytes(file.read(4), "little")
            file.seek(max(0, size - _TAIL - length))
            cursor = ThriftCursor(file.read(min(length, _LONGEST_FOOTER)))
        for number, kind in cursor.fields():
            if number != _GROUPS:
                cursor.value(kind)
                continue
            for _ in range(cursor.list_size()):
                columns = _columns(cursor, to_the_end=True)
                chosen = next((columns[one] for one in wanted if one in columns), None)
                total += chosen.total_uncompressed_size if chosen is not None else 0
            break
    except (OSError, NotAPage, IndexError):
        return None
    return total


def _largest(pages: ChunkPages) -> tuple[int, int]:
    numbers = range(len(pages.pages))
    return max(map(pages.likely_need, numbers)), max(pages.text_of(n) for n in numbers)


def _find_column(footer: bytes, field: str) -> ColumnPlace | None:
    """Where the text is in the first row group."""
    cursor = ThriftCursor(footer)
    for number, kind in cursor.fields():
        if number != _GROUPS:
            cursor.value(kind)
            continue
        if not cursor.list_size():
            return None
        columns = _columns(cursor)
        return next((columns[path] for path in paths_of(field) if path in columns), None)
    return None


def _columns(cursor: ThriftCursor, *, to_the_end: bool = False) -> dict[tuple[str, ...], ColumnPlace]:
    """The columns of the row group that comes next, by their path; `to_the_end`: another one may be read behind it."""
    found: dict[tuple[str, ...], ColumnPlace] = {}
    for number, kind in cursor.fields():
        if number != _COLUMNS:
            cursor.value(kind)
            continue
        for _ in range(cursor.list_size()):
            for inside, type_of in cursor.fields():
                if inside == _META:
                    path, place = _meta(cursor)
                    found.setdefault(path, place)
                else:
                    cursor.value(type_of)
        if not to_the_end:
            break
    return found


def _meta(cursor: ThriftCursor) -> tuple[tuple[str, ...], ColumnPlace]:
    values: dict[int, Any] = {}
    path: tuple[str, ...] = ()
    for number, kind in cursor.fields():
        if number == _PATH:
            path = tuple(cursor.binary().decode(errors="replace") for _ in range(cursor.list_size()))
        else:
            values[number] = cursor.value(kind)
    return path, ColumnPlace(
        num_values=values.get(_VALUES, 0),
        total_uncompressed_size=values.get(_SIZE, 0),
        total_compressed_size=values.get(_PACKED, 0),
        data_page_offset=values.get(_DATA_AT, 0),
        dictionary_page_offset=values.get(_DICTIONARY_AT),
    )
