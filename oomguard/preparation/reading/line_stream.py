"""JSON Lines that cannot be read at any place, compressed or from standard input, in blocks of whole lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oomguard.preparation.reading.byte_stream import ByteStream, readable, skip_bytes
from oomguard.preparation.reading.line_blocks import LineReader
from oomguard.preparation.reading.pieces import Piece
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.pieces import ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source


def iter_lines(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the lines as they are: the workers parse them.

    Raises: BadInput for damaged data; BudgetTooSmall for too long a line; Changed; whatever `reserve` does.
    """
    position = resume or {"offset": 0, "line": 1, "crc": 0}
    keys = ("offset", "line", "crc") if source.path == "-" else ("offset", "line")
    start = {key: position[key] for key in keys}
    name = printable(source.path)
    with ByteStream(source, reserve=reserve) as raw:
        stream = readable(raw, source)
        skip_bytes(stream, start["offset"], crc=start.get("crc"), name=name)
        for block in LineReader(stream, name, options, reserve, held=raw.held).blocks(start):
            where = f"line {block.start['line']}"
            yield Piece(bytes(block.data), block.start["offset"] == 0, True, block.end, where, "lines")  # noqa: FBT003
