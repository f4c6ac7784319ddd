"""WARC files of text (WET, as Common Crawl gives them): each conversion record is a document.

Source: ISO 28500 (WARC 1.0, 1.1). A record is a version line, named fields, a blank line, as many bytes as
Content-Length says, and two line ends. What is fetched pages (response records) is HTML in HTTP, and no text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.reading.byte_stream import ByteStream, skip_bytes
from oomguard.preparation.reading.pieces import Packer, Room, packed
from oomguard.text import printable
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.pieces import Piece, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source

_READ = 256 * KIB
_LONGEST_HEADER = 256 * KIB
_VERSION = re.compile(rb"WARC/1\.[01]\r?\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_PASSED_OVER = {b"warcinfo", b"metadata", b"request", b"revisit", b"continuation"}  # they hold no document


def iter_warc(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the text of each record that holds one. Positions count decompressed bytes.

    Raises: BadInput for damaged data, and for records of fetched pages; BudgetTooSmall for too large a document.
    """
    name = printable(source.path)
    at = resume or {"offset": 0, "record": 1}
    with ByteStream(source, reserve=reserve) as stream:
        skip_bytes(stream, at["offset"], name=name)
        records = _Records(stream, name, Room(name, options, reserve, held=lambda: stream.held), **at)
        packer = Packer(options, task="documents", word="record", number=at["record"])
        yield from packed(((document, records.origin, records.position(), None) for document in records), packer, at)


class _Records:
    def __init__(self, stream: ByteStream, name: str, room: Room, *, offset: int, record: int) -> None:
        self._stream = stream
        self._name = name
        self._room = room
        self._offset = offset
        self._record = record  # the number of the next document
        self._window = b""
        self.origin = offset  # of the record that was given last: the byte where it begins

    def position(self) -> dict[str, Any]:
        return {"offset": self._offset, "record": self._record}

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self._pass_line_ends()
            if not self._window:
                return
            self.origin = self._offset
            fields = self._header()
            size = self._size(fields)
            kind = fields.get(b"warc-type", b"").lower()
            if kind in (b"conversion", b"resource") and self._is_text(fields):
                document = self._body(size)
                self._end(size)
                self._record += 1
                yield document
            elif kind in _PASSED_OVER:
                self._skip(size)
                self._end(size)
            else:
                what, of = (
                    printable(one.decode(errors="replace")) for one in (kind, fields.get(b"content-type", b"?"))
                )
                raise self._wrong(
                    f"a {what} record of {of}, which is not plain text",
                    "extract the text from the pages first (trafilatura, resiliparse); Common Crawl's .wet has it",
                )

    @staticmethod
    def _is_text(fields: dict[bytes, bytes]) -> bool:
        return fields.get(b"content-type", b"text/plain").partition(b";")[0].strip().lower() == b"text/plain"

    def _pass_line_ends(self) -> None:
        while True:
            left = self._window.lstrip(b"\r\n")
            self._take(len(self._window) - len(left))
            if left or not self._fill(1):
                return

    def _header(self) -> dict[bytes, bytes]:
        end = None
        while end is None:
            end = _HEADER_END.search(self._window)
            if end is None and (len(self._window) > _LONGEST_HEADER or not self._fill(len(self._window) + 1)):
                raise self._wrong("no WARC record begins here, or it is cut off", "download the file again")
        head = self._window[: end.end()]
        version = _VERSION.match(head)
        if version is None:
            raise self._wrong("no WARC record begins here", "download the file again")
        lines = head[version.end() :].splitlines()
        fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(b":") for line in lines)}
        self._take(len(head))
        return fields

    def _size(self, fields: dict[bytes, bytes]) -> int:
        given = fields.get(b"content-length", b"")
        if not re.fullmatch(rb"[0-9]{1,18}", given):
            raise self._wrong("a record without a Content-Length", "download the file again")
        return int(given)

    def _body(self, size: int) -> bytes:
        self._room.ask(size, f"record {self._record}")
        if not self._fill(size):
            raise self._wrong("the file ends within this record", "download the file again")
        body = self._window[:size]
        self._take(size)
        return body

    def _skip(self, size: int) -> None:
        while size:
            if not self._window and not self._fill(1):
                raise self._wrong("the file ends within this record", "download the file again")
            part = min(size, len(self._window))
            self._take(part)
            size -= part

    def _end(self, size: int) -> None:
        self._fill(4)
        if self._window and not self._window.startswith((b"\r\n", b"\n")):
            raise self._wrong(f"the record before does not end after its {size:,} bytes", "download the file again")

    def _take(self, size: int) -> None:
        self._window = self._window[size:]
        self._offset += size

    def _fill(self, size: int) -> bool:
        """Have so many bytes in the window; False if there are fewer."""
        parts, have = [self._window], len(self._window)
        while have < size and (got := self._stream.read(max(_READ, size - have) if size < _READ else _READ)):
            parts.append(got)
            have += len(got)
        self._window = b"".join(parts)
        return have >= size

    def _wrong(self, what: str, do: str) -> BadInput:
        return BadInput(f"{self._name}: at byte {self._offset}: {what}", do=do)
