"""JSON values one behind the other, or those of an array of any size: each is found here and parsed by a worker.

Nothing but quotes, brackets and white space is looked at, which is enough to see where a value ends; whether what is
in between is JSON, the worker's parser says. No more than one value is held at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.reading.byte_stream import ByteStream, readable, skip_bytes
from oomguard.preparation.reading.pieces import Packer, Room, packed
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.byte_stream import Readable
    from oomguard.preparation.reading.pieces import Piece, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source

_READ = 256 * 1024
_BOM = b"\xef\xbb\xbf"
_WHITE = b" \t\r\n"
_NEXT = re.compile(rb'["\[\]{}]')  # in a value that is in brackets
_END = re.compile(rb"[ \t\r\n,\]\[{}\"]")  # of one that is not
_UNESCAPED = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


def iter_values(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the values as they are.

    Positions count decompressed bytes.
    Raises: BadInput for damaged data, and for what stands between values; BudgetTooSmall for too large a value.
    """
    at = resume or {"offset": 0, "number": 1, "array": False, "behind": False}
    name = printable(source.path)
    with ByteStream(source, reserve=reserve) as raw:
        stream = readable(raw, source)
        skip_bytes(stream, at["offset"], name=name)
        values = _Values(stream, name, Room(name, options, reserve, held=raw.held), dict(at))
        packer = Packer(options, task="values", word="value", number=at["number"])
        yield from packed(((value, values.origin, values.position(), None) for value in values), packer, at)


class _Values:
    """Finds one value after another."""

    def __init__(self, stream: Readable, name: str, room: Room, at: dict[str, Any]) -> None:
        self._stream = stream
        self._name = name
        self._room = room
        self._offset: int = at["offset"]  # of the window's begin
        self._number: int = at["number"]  # of the next value
        self._in_array: bool = at["array"]
        self._behind: bool = at["behind"]  # behind a value of an array, where a comma or the end has to come
        self._window = b""
        self._at = 0  # in the window
        self._ended = False

    @property
    def origin(self) -> int:
        """Of the value that was given last: the byte where it begins."""
        return self._offset

    def position(self) -> dict[str, Any]:
        return {
            "offset": self._offset + self._at,
            "number": self._number,
            "array": self._in_array,
            "behind": self._behind,
        }

    def __iter__(self) -> Iterator[bytes]:
        if self._offset == 0:
            self._fill(3)
            self._at = 3 if self._window.startswith(_BOM) else 0
        while (byte := self._peek()) is not None:
            if byte == b"[" and not self._in_array:
                self._in_array, self._behind = True, False
                self._at += 1
                after = self._peek()
                if after == b"]":
                    self._close()
            elif byte == b"]" and self._in_array and self._behind:
                self._close()
            elif byte == b"," and self._in_array and self._behind:
                self._at += 1
                self._behind = False
            elif (self._in_array and self._behind) or byte in (b",", b"]", b"}"):
                raise self._wrong(f'"{printable(byte.decode("latin-1"))}" where no value can begin')
            else:
                value = self._value(byte)
                self._behind = self._in_array
                self._number += 1
                yield value
        if self._in_array:
            raise self._wrong("the file ends within the array")

    def _close(self) -> None:
        self._at += 1
        self._in_array = self._behind = False

    def _peek(self) -> bytes | None:
        """The next byte that is not white; None at the end."""
        while True:
            rest = self._window[self._at :].lstrip(_WHITE)
            self._at = len(self._window) - len(rest)
            if rest:
                return rest[:1]
            if not self._more():
                return None

    def _value(self, first: bytes) -> bytes:
        """Give the value that begins here."""
        start, self._window, self._at = self._at, self._window[self._at :], 0
        self._offset += start
        if first == b'"':
            end = self._string_end(0)
        elif first in (b"{", b"["):
            end = self._bracket_end()
        else:
            end = self._plain_end()
        value, self._at = self._window[:end], end
        return value

    def _bracket_end(self) -> int:
        depth, at = 0, 0
        while True:
            found = _NEXT.search(self._window, at)
            if found is None:
                at = len(self._window)
                self._need_more()
                continue
            mark, at = found.group(), found.end()
            if mark == b'"':
                at = self._string_end(at - 1)
                continue
            depth += 1 if mark in b"{[" else -1
            if depth == 0:
                return at

    def _string_end(self, start: int) -> int:
        """Where the string ends that begins with the quote at `start`."""
        at = start + 1
        while True:
            match = _UNESCAPED.match(self._window, at)
            assert match is not None  # it matches nothing, too
            at = match.end()
            if self._window[at : at + 1] == b'"':
                return at + 1
            # The window ends here, or with a backslash whose second half is yet to come.
            self._need_more()

    def _plain_end(self) -> int:
        at = 1
        while (found := _END.search(self._window, at)) is None:
            at = len(self._window)
            if not self._more():
                return at
        return found.start()

    def _fill(self, size: int) -> None:
        while len(self._window) < size and self._more():
            pass

    def _more(self) -> bool:
        """Have more in the window; what is behind it is given up. False at the end."""
        if self._at and not self._window[self._at :].strip(_WHITE):
            self._offset, self._window, self._at = self._offset + self._at, self._window[self._at :], 0
        size = max(_READ, len(self._window))  # twice as much each time: a large value is copied a few times only
        parts = [self._window]
        while size > 0 and (got := self._stream.read(min(size, _READ))):
            self._room.ask(len(self._window) + sum(map(len, parts[1:])) + len(got), f"value {self._number}")
            parts.append(got)
            size -= len(got)
        self._window = b"".join(parts)
        return len(parts) > 1

    def _need_more(self) -> None:
        if not self._more():
            raise self._wrong("the file ends within the value")

    def _wrong(self, what: str) -> BadInput:
        return BadInput(
            f"{self._name}: value {self._number}, at byte {self._offset + self._at}: {what}",
            do="correct the file (python -m json.tool says what it finds wrong), or get it again",
        )
