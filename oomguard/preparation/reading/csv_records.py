"""CSV and TSV: a header, then records of which one field is the document, as Python's csv module reads them, strictly.

Quotes, doubled quotes and line feeds in quotes are read as RFC 4180 has them. What is left open or continues behind a
closing quote is an error, since whatever comes after it would be read otherwise than it was meant.
"""

from __future__ import annotations

import csv
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.reading.byte_stream import ByteStream, readable, skip_bytes
from oomguard.preparation.reading.fields import paths_of
from oomguard.preparation.reading.kinds import COMPRESSIONS
from oomguard.preparation.reading.pieces import Packer, Room, packed
from oomguard.preparation.reading.source import piped
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.byte_stream import Readable
    from oomguard.preparation.reading.pieces import Piece, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source

_READ = MIB // 4
_BOM = b"\xef\xbb\xbf"
_NAMES_SHOWN = 12
# Bytes for each byte of a large record: as it comes, its line, csv's own buffer of 4 a character, and twice Python's
# text of up to 4 a character, as where there is one emoji in it.
_COPIES = 13
_OPEN = "unexpected end of data"  # csv.reader's words
_CR_ALONE = "new-line character seen in unquoted field"
_SKIP = "correct this record, or leave such records out with --errors skip"


def iter_csv(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the field of each record; a record that is none is left out with errors="skip".

    Positions count decompressed bytes behind the header, which a resumed run reads again.
    Raises: BadInput for damaged data, a header without the field, and a record that is none; BudgetTooSmall.
    """
    name = printable(source.path)
    csv.field_size_limit(sys.maxsize)  # what fits is asked for in bytes
    with ByteStream(source, reserve=reserve) as raw:
        lines = _Lines(readable(raw, source), name, Room(name, options, reserve, held=lambda: raw.held, copies=_COPIES))
        records = csv.reader(lines, delimiter="\t" if source.kind == "tsv" else ",", strict=True)
        names = _header(records, lines, name, is_tsv=source.kind == "tsv")
        if names is None:
            return
        column = find_column(names, source.text_field, name)
        if resume is not None:
            lines.skip(resume["offset"], resume["line"])
        number = resume["record"] if resume is not None else 1
        documents = _documents(records, lines, name, column=column, width=len(names), errors=options.errors)
        found = (
            (document, origin, {**lines.position(), "record": next_number}, None)
            for next_number, (document, origin) in enumerate(documents, number + 1)
        )
        packer = Packer(options, task="documents", word="record", number=number)
        yield from packed(found, packer, {**lines.position(), "record": number})


def _documents(
    records: Any, lines: _Lines, name: str, *, column: int, width: int, errors: str
) -> Iterator[tuple[bytes | None, int]]:
    """Give the field of each record, None for one that is left out, and the byte where the record begins."""
    while True:
        document, what = None, ""
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            what = str(error)
            if what == _OPEN:  # all the rest of the file
                raise BadInput(
                    f"{name}:{lines.begun}: a quote is opened in this record and never closed", do="correct the file"
                ) from error
        else:
            if record and len(record) == width:
                document = record[column].encode(errors="surrogateescape")
            what = f"{len(record)} fields, but the header has {width}"
            if not record:  # a blank line
                lines.forget()
                continue
        if document is None and errors != "skip":
            raise BadInput(f"{name}:{lines.begun}: {what}", do=_SKIP)
        origin = lines.origin
        lines.forget()
        yield document, origin


def find_column(names: list[str], field: str, name: str) -> int:
    """Give which field of a record has the text: the first choice that the header has. Raises: BadInput."""
    for path in paths_of(field):
        found = [index for index, one in enumerate(names) if (one,) == path]
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(
                f'{name}: {len(found)} columns "{printable(path[0])}"', do="give them different names in the header"
            )
    shown = ", ".join(f'"{printable(one)}"' for one in names[:_NAMES_SHOWN])
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    raise BadInput(
        f'{name}: no column "{printable(field)}"; the columns are: {shown}{more}',
        do=for_other_delimiter(names, name) or "name the column with --text-field NAME",
    )


def for_other_delimiter(names: list[str], name: str) -> str:
    """The line to paste for a file whose fields something else divides than a comma or a tab; "" if nothing does."""
    found = next((mark for mark in ";|\t," if len(names) == 1 and mark in names[0]), None)
    if found is None:
        return ""
    if found in "\t,":
        return f"--input-format {'tsv' if found == chr(9) else 'csv'}: its fields are divided so"
    program = (
        "import csv, sys; csv.field_size_limit(1 << 31); "
        f"csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, delimiter='{found}'))"
    )
    command = piped(f'python3 -c "{program}"', name, COMPRESSIONS.get(f".{name.rpartition('.')[2]}"))
    return f"{command} | oomguard prepare - --input-format csv"


def _header(records: Any, lines: _Lines, name: str, *, is_tsv: bool) -> list[str] | None:
    """The first record that is not blank; None in an empty file."""
    try:
        for record in records:
            lines.forget()
            if record:
                return [*record]
    except csv.Error as error:
        if not str(error).startswith(_CR_ALONE):
            raise BadInput(f"{name}:{lines.begun}: {error}", do="correct the header") from error
        command = piped(r"tr '\r' '\n'", name, COMPRESSIONS.get(f".{name.rpartition('.')[2]}"))
        raise BadInput(
            f"{name}:{lines.begun}: its lines end with CR alone, and not with LF",
            do=f"{command} | oomguard prepare - --input-format {'tsv' if is_tsv else 'csv'}",
        ) from error
    return None


def _record_end(text: bytes, *, in_quotes: bool) -> tuple[int, bool]:
    """Give where the record ends that continues with `text`, or -1, and whether a quote is open then."""
    at = 0
    while (end := text.find(b"\n", at) + 1) > 0:
        in_quotes ^= text.count(b'"', at, end) % 2 == 1
        if not in_quotes:
            return end, False
        at = end
    return -1, in_quotes ^ (text.count(b'"', at) % 2 == 1)


class _Lines:
    """The lines of a stream as csv.reader wants them, and how many bytes it has taken."""

    def __init__(self, stream: Readable, name: str, room: Room) -> None:
        self._stream = stream
        self._name = name
        self._room = room
        self._window = b""
        self._at = 0
        self._size = 0  # of the record so far,
        self._in_quotes = False  # and whether a quote is open in it
        self._offset = 0  # behind what was taken
        self.line = 1  # the next one
        self.begun = 1  # where the record under way begins: its line,
        self.origin = 0  # and its byte

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._next()
        if not line:
            raise StopIteration
        first = self._offset == 0
        self._offset += len(line)
        self.line += 1
        return line.removeprefix(_BOM if first else b"").decode(errors="surrogateescape")

    def _next(self) -> bytes:
        end = self._window.find(b"\n", self._at) + 1
        if not end:
            parts = [self._window[self._at :]]
            size = len(parts[0])
            self._window, self._at = b"", 0
            while got := self._stream.read(_READ):
                parts.append(got)
                line_end = got.find(b"\n") + 1
                size += line_end or len(got)
                self._room.ask(self._size + size, f"line {self.begun}", partial(self._rest, parts, size))
                if line_end:
                    break
            self._window = b"".join(parts)
            end = self._window.find(b"\n") + 1 or len(self._window)
        line, self._at = self._window[self._at : end], end
        self._size += len(line)
        self._in_quotes ^= line.count(b'"') % 2 == 1
        if self._size > self._room.unasked:
            self._room.ask(self._size, f"line {self.begun}", partial(self._rest, [], 0))
        return line

    def _rest(self, held: list[bytes], counted: int) -> int:
        """How many more bytes the record has, which is too long: behind the `counted` ones of what is held of it."""
        if not held and not self._in_quotes:
            return 0
        size, in_quotes = -counted, self._in_quotes
        for part in self._parts(held):
            end, in_quotes = _record_end(part, in_quotes=in_quotes)
            if end >= 0:
                return size + end
            size += len(part)
        return size

    def _parts(self, held: list[bytes]) -> Iterator[bytes]:
        while held:
            yield held.pop(0)
        yield self._window[self._at :]
        while got := self._stream.read(_READ):
            yield got

    def forget(self) -> None:
        """The record is done: the next one begins here."""
        self._size, self._in_quotes = 0, False
        self.begun, self.origin = self.line, self._offset

    def position(self) -> dict[str, Any]:
        return {"offset": self._offset, "line": self.line}

    def skip(self, offset: int, line: int) -> None:
        """Go on where an earlier run was."""
        left = offset - self._offset
        held = self._window[self._at :]
        self._window, self._at = held[left:], 0
        if left > len(held):
            is_placed = isinstance(self._stream, ByteStream) and self._stream.seekable  # from the file's begin, that is
            skip_bytes(self._stream, offset if is_placed else left - len(held), name=self._name)
        self._offset, self.line = offset, line
        self.forget()
