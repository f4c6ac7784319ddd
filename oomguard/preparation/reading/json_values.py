"""JSON values one behind the other, or those of an array of any size: each is found here and parsed by a worker.

Nothing but quotes, brackets and white space is looked at, which is enough to see where a value ends; whether what is
in between is JSON, the worker's parser says. No more than one value is held at once.
"""

from __future__ import annotations

import re
from functools import partial
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
_VISIBLE = re.compile(rb"[^ \t\r\n]")
_NEXT = re.compile(rb'["\[\]{}]')  # outside of strings, in brackets
_OPENS = (b'"', b"{", b"[")
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
        values = _Values(stream, name, Room(name, options, reserve, held=lambda: raw.held), dict(at))
        packer = Packer(options, task="values", word="value", number=at["number"])
        yield from packed(((value, values.origin, values.position(), None) for value in values), packer, at)


class _Values:
    """Finds one value after another."""

    def __init__(self, stream: Readable, name: str, room: Room, at: dict[str, Any]) -> None:
        self._stream = stream
        self._name = name
        self._room = room
        self._offset: int = at["offset"]  # of the window's begin
        self.origin = self._offset  # of the value that was given last: the byte where it begins
        self._number: int = at["number"]  # of the next value
        self._in_array: bool = at["array"]
        self._behind: bool = at["behind"]  # behind a value of an array, where a comma or the end has to come
        self._window = b""
        self._at = 0  # in the window

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
            if found := _VISIBLE.search(self._window, self._at):
                self._at = found.start()
                return found.group()
            self._at = len(self._window)
            if not self._more():
                return None

    def _value(self, first: bytes) -> bytes:
        """Give the value that begins here."""
        self.origin = self._offset + self._at
        if first not in _OPENS:
            end = self._plain_end()
        elif (found := (finder := _End()).within(self._window, self._at)) is not None:
            end = found
        else:
            return self._long_value(finder)
        value, self._at = self._window[self._at : end], end
        return value

    def _long_value(self, finder: _End) -> bytes:
        """The same of one that ends behind the window."""
        parts = [self._window[self._at :]]
        size, end = len(parts[0]), None
        while end is None:
            got = self._stream.read(_READ)
            if not got:
                raise self._wrong("the file ends within the value")
            end = finder.within(got)
            parts.append(got[:end])
            size += len(parts[-1])
            rest = None if end is not None else partial(self._rest_of_value, finder, parts)
            self._room.ask(size, f"value {self._number}", rest)
        self._offset, self._window, self._at = self.origin + size, got[end:], 0
        return b"".join(parts)

    def _rest_of_value(self, finder: _End, held: list[bytes]) -> int:
        """How many more bytes the value has, which is too large and only counted now."""
        held.clear()
        size, end = 0, None
        while end is None and (got := self._stream.read(_READ)):
            end = finder.within(got)
            size += len(got) if end is None else end
        return size

    def _plain_end(self) -> int:
        at = self._at + 1
        while (found := _END.search(self._window, at)) is None:
            at = len(self._window)
            if not self._more():
                return at
        return found.start()

    def _fill(self, size: int) -> None:
        while len(self._window) < size and self._more():
            pass

    def _more(self) -> bool:
        """Have more in the window; white space before it is given up. False at the end."""
        if _VISIBLE.search(self._window, self._at) is None:
            self._offset, self._window, self._at = self._offset + len(self._window), b"", 0
        self._room.ask(len(self._window) - self._at, f"value {self._number}")
        got = self._stream.read(_READ)
        self._window += got
        return bool(got)

    def _wrong(self, what: str) -> BadInput:
        return BadInput(
            f"{self._name}: value {self._number}, at byte {self._offset + self._at}: {what}",
            do="correct the file (python -m json.tool says what it finds wrong), or get it again",
        )


class _End:
    """Finds where a string or what is in brackets ends, in one part of it after another."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._is_escaped = False

    def within(self, part: bytes, at: int = 0) -> int | None:
        """Give where in the next part it ends, of which the first `at` bytes are passed over; None: not there."""
        at += self._is_escaped
        self._is_escaped = False
        while True:
            if self._in_string:
                match = _UNESCAPED.match(part, at)
                assert match is not None  # it matches nothing, too
                at = match.end() + 1
                if at > len(part):
                    return None
                if part[at - 1 : at] == b"\\":  # the last byte: what it escapes is yet to come
                    self._is_escaped = True
                    return None
                self._in_string = False
            else:
                found = _NEXT.search(part, at)
                if found is None:
                    return None
                at = found.end()
                if found.group() == b'"':
                    self._in_string = True
                    continue
                self._depth += 1 if found.group() in b"{[" else -1
            if self._depth <= 0:
                return at
