"""A stream in blocks of whole lines, of which only a long line makes a large one."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oomguard.errors import BudgetTooSmall, OomguardError
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.byte_stream import Readable
    from oomguard.preparation.reading.pieces import ReadOptions, Reserve

# Bytes held for a line by the stream reader and then by a worker, by bytes of the line: as it comes, in the slot, its
# parsed text, that as UTF-8.
LINE_PEAK = 4
_STEP = 8 * MIB  # by which a line grows between two questions


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Whole lines that follow each other, and the positions of their first byte and of the one behind the last."""

    data: bytes | bytearray
    start: dict[str, Any]  # {"offset", "line", "crc" if it is followed}
    end: dict[str, Any]


def _block(data: bytes | bytearray, start: dict[str, Any]) -> LineBlock:
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    end = {"offset": start["offset"] + len(data), "line": start["line"] + lines}
    if "crc" in start:
        end["crc"] = zlib.crc32(data, start["crc"])
    return LineBlock(data, start, end)


class LineReader:
    """Gives a stream in blocks of whole lines, about `piece_bytes` each; a longer line is a block of its own."""

    def __init__(self, stream: Readable, name: str, options: ReadOptions, reserve: Reserve, *, held: int = 0) -> None:
        self._stream = stream
        self._name = name
        self._options = options
        self._reserve = reserve
        self._held = held  # bytes the stream asked for itself
        self._asked = options.unasked

    def blocks(self, start: dict[str, Any]) -> Iterator[LineBlock]:
        """Read on from `start`, where the stream stands.

        Raises: BudgetTooSmall for a line of more than `largest_document`; whatever `reserve` does.
        """
        size = self._options.piece_bytes
        rest = bytearray()
        while chunk := self._stream.read(size):
            if len(rest) >= size:
                end = chunk.find(b"\n") + 1
                self._grow(rest, chunk[: end or None], start["line"])
                if not end:
                    continue
                chunk = chunk[end:]
                block, rest = _block(rest, start), bytearray()
                yield block
                start = block.end
            end = chunk.rfind(b"\n") + 1
            if end:
                block, rest = _block(rest + chunk[:end], start), bytearray()
                yield block
                start = block.end
            rest += chunk[end:]
        if rest:
            block, rest = _block(rest, start), bytearray()  # without a line feed, that is
            yield block

    def _grow(self, line: bytearray, more: bytes, number: int) -> None:
        size = len(line) + len(more)
        try:
            if size > self._options.largest_document:
                raise self._too_long(number, size)
            if size > self._asked:
                self._asked = size + _STEP
                self._ask(number, self._asked)
        except OomguardError as refused:
            line.clear()
            size += self._rest_of_line() if not more.endswith(b"\n") else 0
            if size <= self._options.largest_document:
                self._ask(number, size)  # refused again, now with the size that the line really has
                raise
            raise self._too_long(number, size) from refused
        line += more

    def _ask(self, number: int, size: int) -> None:
        self._reserve(int(LINE_PEAK * size) + self._held, f"{self._name}: line {number}")

    def _rest_of_line(self) -> int:
        size = 0
        while chunk := self._stream.read(MIB):
            end = chunk.find(b"\n") + 1
            size += end or len(chunk)
            if end:
                break
        return size

    def _too_long(self, number: int, size: int) -> BudgetTooSmall:
        need = format_size(LINE_PEAK * size)
        return BudgetTooSmall(
            f"{self._name}: line {number} is {format_size(size)} long and needs {need} of memory to read; "
            f"the longest that fits here is {format_size(self._options.largest_document)}",
            do=f"give --max-rss {need} more than now, or take line {number} out",
        )
