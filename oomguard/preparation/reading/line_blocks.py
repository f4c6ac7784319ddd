"""A stream in blocks of whole lines, of which only a long line makes a large one."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from oomguard.errors import BudgetTooSmall, OomguardError
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.byte_stream import Readable
    from oomguard.preparation.reading.pieces import ReadOptions, Reserve

# Bytes held at the peak of reading a line with Arrow, by bytes of the line. Measured: 3.0 for ASCII, for escapes, and
# with an emoji among ASCII: the line, the parsed string, its copy in the result.
LINE_PEAK = 3.1
_STEP = 8 * MIB  # by which a line grows between two questions


class LineBlock:
    """Whole lines that follow each other."""

    def __init__(self, data: bytes | bytearray, start: dict[str, Any], *, one_line: bool = False) -> None:
        """`start` is the position of its first byte: {"offset", "line", "crc" if it is followed}."""
        self.data = data
        self.start = start
        # int64[line_feed_count], their places; not looked for in a long line: that takes a byte for each of its own.
        self.feeds = np.flatnonzero(np.frombuffer(b"" if one_line else data, np.uint8) == ord("\n"))
        self.lines = 1 if one_line else len(self.feeds) + (not data.endswith(b"\n"))
        self.end = self._position(len(data), self.lines)

    @property
    def line(self) -> int:
        """The number of its first line."""
        number: int = self.start["line"]
        return number

    def after(self, lines: int) -> dict[str, Any]:
        """The position behind the first `lines` lines."""
        if lines == self.lines:
            return self.end
        if not lines:
            return self.start
        return self._position(int(self.feeds[lines - 1]) + 1, lines)

    def release(self) -> None:
        """Forget the text of a block of one line: only its two ends are positions."""
        assert self.lines == 1
        self.data = b""

    def _position(self, size: int, lines: int) -> dict[str, Any]:
        position = {"offset": self.start["offset"] + size, "line": self.start["line"] + lines}
        if "crc" in self.start:
            position["crc"] = zlib.crc32(memoryview(self.data)[:size], self.start["crc"])
        return position


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
                block, rest = LineBlock(rest, start, one_line=True), bytearray()
                yield block
                start = block.end
            end = chunk.rfind(b"\n") + 1
            if end:
                block, rest = LineBlock(rest + chunk[:end], start), bytearray()
                yield block
                start = block.end
            rest += chunk[end:]
        if rest:
            block, rest = LineBlock(rest, start, one_line=True), bytearray()  # without a line feed, that is
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
