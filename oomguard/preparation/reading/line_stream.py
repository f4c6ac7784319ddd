"""JSON Lines that cannot be read at any place, compressed or from standard input, in blocks of whole lines.

Only a long line makes a large block. A block is a list of parts, so that what was inflated is copied once: into a slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isal import isal_zlib

from oomguard.preparation.encoding.bytes_core import line_feeds
from oomguard.preparation.reading.byte_stream import ByteStream, Stretch, readable, skip_bytes, with_reach
from oomguard.preparation.reading.pieces import Piece, Room
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.byte_stream import Readable
    from oomguard.preparation.reading.pieces import Held, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source


def iter_lines(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the lines as they are, about `piece_bytes` at a time, and a longer line alone: the workers parse them.

    Raises: BadInput for damaged data; BudgetTooSmall for too long a line; Changed; whatever `reserve` does.
    """
    position = resume or {"offset": source.begin, "line": 1, "crc": 0}
    keys = ("offset", "line", "crc") if source.path == "-" else ("offset", "line")
    start = {key: position[key] for key in keys}
    name = printable(source.path)
    with ByteStream(source, reserve=reserve) as raw:
        if source.part is not None:
            stream: Readable = Stretch(raw, start["offset"], source.part.end)
            name = f"{name}, from byte {source.begin} on"  # where lines are counted from
        else:
            stream = readable(raw, source)
            skip_bytes(stream, start["offset"], crc=start.get("crc"), name=name)
        pieces = LineReader(stream, name, options, reserve, held=lambda: raw.held).pieces(start)
        yield from with_reach(pieces, raw, source)


def _piece(data: list[Any], start: dict[str, Any], *, lines: int) -> Piece:
    """Whole lines that follow each other; `start`: {"offset", "line", "crc" if it is followed} of their first byte."""
    end = {"offset": start["offset"] + sum(map(len, data)), "line": start["line"] + lines}
    if "crc" in start:
        end["crc"] = start["crc"]
        for part in data:
            end["crc"] = isal_zlib.crc32(part, end["crc"])
    at = start["offset"]
    return Piece(data, at == 0, True, end, f"line {start['line']}", "lines", origin=at)  # noqa: FBT003


class LineReader:
    """Gives a stream in pieces of whole lines, about `piece_bytes` each; a longer line is a piece of its own."""

    def __init__(self, stream: Readable, name: str, options: ReadOptions, reserve: Reserve, *, held: Held) -> None:
        """Read whole lines of `stream`."""
        self._stream = stream
        self._size = options.piece_bytes
        self._room = Room(name, options, reserve, held=held)

    def pieces(self, start: dict[str, Any]) -> Iterator[Piece]:
        """Read on from `start`, where the stream stands.

        Raises: BudgetTooSmall for a line that does not fit.
        """
        size = self._size
        rest: bytes | bytearray = b""  # of a line that is not whole
        while chunk := self._stream.read(size):
            at = 0
            if len(rest) >= size:
                line = rest if isinstance(rest, bytearray) else bytearray(rest)
                rest, at = line, chunk.find(b"\n") + 1
                self._grow(line, chunk[: at or None], start["line"])
                if not at:
                    continue
                piece, rest = _piece([line], start, lines=1), b""
                yield piece
                start = piece.resume
            end = chunk.rfind(b"\n") + 1
            if end > at:
                whole = memoryview(chunk)[at:end]
                piece, rest = _piece([rest, whole], start, lines=line_feeds(whole)), b""
                yield piece
                start = piece.resume
            rest += chunk[max(at, end) :]
        if rest:
            yield _piece([rest], start, lines=1)  # without a line feed, that is

    def _grow(self, line: bytearray, more: bytes, number: int) -> None:
        def rest() -> int:
            line.clear()  # it is only counted now
            return self._rest_of_line() if not more.endswith(b"\n") else 0

        self._room.ask(len(line) + len(more), f"line {number}", rest)
        line += more

    def _rest_of_line(self) -> int:
        size = 0
        while chunk := self._stream.read(MIB):
            end = chunk.find(b"\n") + 1
            size += end or len(chunk)
            if end:
                break
        return size
