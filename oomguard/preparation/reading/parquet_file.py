"""A parquet file of some pages of one column of another, so that Arrow decodes these and no others.

Arrow reads a row group from its beginning; a file with one row group has one reader then, however many workers there
are. What it is given here is a file of its own: the pages as they are, and a footer that names them.
Source: parquet.thrift (FileMetaData and below) and Thrift's compact protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.preparation.encoding.native import private_memory
from oomguard.records import dataclass
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    import mmap

_MAGIC = b"PAR1"
PAGES_AT = len(_MAGIC)
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12  # compact protocol types
CODECS = {"UNCOMPRESSED": 0, "SNAPPY": 1, "GZIP": 2, "BROTLI": 4, "LZ4": 5, "LZ4_RAW": 7, "ZSTD": 6}  # CompressionCodec
TYPES = {"BYTE_ARRAY": 6, "FIXED_LEN_BYTE_ARRAY": 7}  # Type
_MOST_FOOTER = 8 * KIB  # some 150 bytes, and 30 for each group that the column is in
_USUAL = 8 * MIB  # whose memory is kept; where it is not reached, it takes none
_PLAIN, _RLE = 0, 3  # Encoding; Arrow goes by what the pages say

_room: list[mmap.mmap] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """What a footer says of a column."""

    physical_type: str
    length: int  # of a value of fixed length
    optional: tuple[bool, ...]  # whether it may be null, and before it each group that it is in
    codec: str


def leaf_path(column: ColumnFacts) -> tuple[str, ...]:
    """Give what the column is called here: a group within a group, as it was."""
    return (*(f"g{number}" for number in range(len(column.optional) - 1)), "text")


def begin_file(pages: int) -> memoryview:
    """Give a file with room for so many bytes of pages, from `PAGES_AT` on, in memory that is used again and again.

    It would be the largest block in malloc's heap, and each a little longer or shorter than the one before.
    """
    size = PAGES_AT + pages + _MOST_FOOTER
    if not _room or not size <= len(_room[0]) <= max(_USUAL, size):
        _room.clear()
        _room.append(private_memory(max(size, _USUAL)))
    data = memoryview(_room[0])[:size]
    data[:PAGES_AT] = _MAGIC
    return data


def end_file(data: memoryview, *, column: ColumnFacts, values: int, dictionary: int, uncompressed: int) -> memoryview:
    """Write the footer behind the pages, of which the first `dictionary` bytes are the dictionary's; give the whole."""
    pages = len(data) - PAGES_AT - _MOST_FOOTER
    root = _fields((4, _BINARY, _string(b"schema")), (5, _I32, _number(1)))
    *groups, name = leaf_path(column)
    parents = [
        _fields((3, _I32, _number(int(may))), (4, _BINARY, _string(group.encode())), (5, _I32, _number(1)))
        for group, may in zip(groups, column.optional, strict=False)
    ]
    leaf = _fields(
        (1, _I32, _number(TYPES[column.physical_type])),
        (2, _I32, _number(column.length)),
        (3, _I32, _number(int(column.optional[-1]))),
        (4, _BINARY, _string(name.encode())),
    )
    start = PAGES_AT
    chunk = _fields(
        (1, _I32, _number(TYPES[column.physical_type])),
        (2, _LIST, _list(_I32, [_number(_PLAIN), _number(_RLE)])),
        (3, _LIST, _list(_BINARY, [_string(one.encode()) for one in leaf_path(column)])),
        (4, _I32, _number(CODECS[column.codec])),
        (5, _I64, _number(values)),
        (6, _I64, _number(uncompressed)),
        (7, _I64, _number(pages)),
        (9, _I64, _number(start + dictionary)),
        *([(11, _I64, _number(start))] if dictionary else []),
    )
    group = _fields(
        (1, _LIST, _list(_STRUCT, [_fields((2, _I64, _number(0)), (3, _STRUCT, chunk))])),
        (2, _I64, _number(uncompressed)),
        (3, _I64, _number(values)),
    )
    footer = _fields(
        (1, _I32, _number(2)),
        (2, _LIST, _list(_STRUCT, [root, *parents, leaf])),
        (3, _I64, _number(values)),
        (4, _LIST, _list(_STRUCT, [group])),
    )
    end = footer + len(footer).to_bytes(4, "little") + _MAGIC
    data[PAGES_AT + pages : PAGES_AT + pages + len(end)] = end
    return data[: PAGES_AT + pages + len(end)]


def _fields(*fields: tuple[int, int, bytes]) -> bytes:
    parts, last = [], 0
    for number, kind, value in fields:
        parts.append(bytes([(number - last) << 4 | kind]) + value)
        last = number
    return b"".join(parts) + b"\0"


def _number(value: int) -> bytes:
    return _varint(value << 1)  # zigzag of what is not negative


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 128:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _string(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _list(kind: int, items: list[bytes]) -> bytes:
    return bytes([len(items) << 4 | kind]) + b"".join(items)
