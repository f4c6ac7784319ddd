"""A sample of what only its reader can divide into documents: CSV, tar, Arrow, WARC, JSON arrays, other encodings."""

from __future__ import annotations

import importlib
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from oomguard.preparation.reading.byte_stream import ByteStream
from oomguard.preparation.reading.kinds import KINDS
from oomguard.preparation.reading.lines import parse_values
from oomguard.preparation.reading.pieces import ReadOptions, unpack
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from oomguard.preparation.reading.pieces import Piece
    from oomguard.preparation.reading.source import Source

_PIECE = 64 * KIB
_INFLATED = 16 * MIB  # to tell how much a compressed file holds


def needs_reader(source: Source) -> bool:
    """Whether a file cannot be looked at in the middle."""
    return source.kind not in ("text", "jsonl", "parquet") or bool(source.encoding)


def read_pieces(source: Source, *, separator: bytes, most: int) -> tuple[list[tuple[list[bytes], int]], int]:
    """Give pieces from the beginning, with the bytes of the file that each takes, and about how many there are in all.

    It ends behind `most` bytes of text. Lines and rows that cannot be read are passed over. Raises: BadInput.
    """
    module, _, function = KINDS[source.kind].reader.partition(":")
    read = getattr(importlib.import_module(f"oomguard.preparation.reading.{module}"), function)
    options = ReadOptions(family="gpt2", errors="skip", separator=separator, piece_bytes=_PIECE)
    taken = before = 0
    pieces: list[tuple[list[bytes], int]] = []
    for piece in read(source, options=options, resume=None, reserve=lambda *_: None):
        reached = piece.read_to or piece.resume.get("offset") or 0
        reached = max(before, reached + piece.resume.get("header", 0))
        pieces.append((_documents_of(piece, source.text_field), max(1, reached - before)))
        taken, before = taken + sum(map(len, piece.data)), reached
        if taken >= most:
            return pieces, max(before, _size(source))
    return pieces, sum(size for _, size in pieces)


def _size(source: Source) -> int:
    """About how many bytes it holds, decompressed."""
    if source.compression is None:
        return source.size or 0
    with ByteStream(source, reserve=lambda *_: None) as stream:
        size = 0
        while size < _INFLATED and (got := stream.read(MIB)):
            size += len(got)
        compressed = min(stream.compressed_position(), source.size or 0)
    return size if size < _INFLATED or not compressed else round((source.size or 0) * size / compressed)


def _documents_of(piece: Piece, field: str) -> list[bytes]:
    """The documents of a piece, as a worker finds them."""
    data = b"".join(piece.data)
    if piece.task == "text":
        return [data]
    if piece.task == "lines":
        lines = data.split(b"\n")
    else:
        text, sizes, _ = unpack(memoryview(data))
        ends = list(accumulate((max(size, 0) for size in sizes), initial=0))
        lines = [bytes(text[start:end]) for start, end in pairwise(ends)]
    if piece.task == "documents":
        return lines
    found = parse_values(lines, field=field, errors="skip")
    return [bytes(found.text[start:end]) for start, end in pairwise(found.offsets)]
