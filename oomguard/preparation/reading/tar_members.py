"""A tar archive: its files of text and of JSON Lines, one after another, and nothing is unpacked on disk.

Names in an archive only say of what kind a member is; none is ever opened. A text file is a document, or several with
--separator. Links and devices hold no text of their own.
"""

from __future__ import annotations

import tarfile
import zlib
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.reading.byte_stream import (
    ByteStream,
    Stretch,
    UnifiedNewlines,
    Unpacked,
    readable,
    skip_bytes,
    with_reach,
)
from oomguard.preparation.reading.kinds import BY_EXTENSION, COMPRESSIONS
from oomguard.preparation.reading.pieces import Piece, Room, pack
from oomguard.preparation.reading.text_stream import TextReader
from oomguard.text import printable, shell_word
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.byte_stream import Readable
    from oomguard.preparation.reading.pieces import Held, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source

_EXTENSIONS_SHOWN = 8
_BOM = b"\xef\xbb\xbf"
_BEHIND = {"offset": 0, "line": 1, "starts": True}  # the next member, from its beginning


# JSON Lines that cannot be read at any place, compressed or from standard input, in blocks of whole lines.
#
# Only a long line makes a large block. A block is a list of parts, so that what was inflated is copied once: into a
# slot.


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
            end["crc"] = zlib.crc32(part, end["crc"])
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
                parts = [rest, memoryview(chunk)[at:end]]
                piece, rest = _piece(parts, start, lines=chunk.count(b"\n", at, end)), b""
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


class _Damaged(Exception):
    """A header that is none: tarfile itself takes it for the end."""


class _Member(tarfile.TarInfo):
    ended = False  # a block of zeros was seen since the last header

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> _Member:
        try:
            found = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # Nothing, or a block of zeros: those of which tarfile says it by the names of its exceptions alone.
            if not any(buf):
                cls.ended = cls.ended or len(buf) == tarfile.BLOCKSIZE
                raise
            raise _Damaged(str(error)) from error
        cls.ended = False
        return found


def iter_tar(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the members that are text or JSON Lines, compressed or not.

    Positions are the decompressed byte where a member's header begins, and the place in the member.
    Raises: BadInput for damaged data, and for a member that holds something else than its name says.
    """
    name = printable(source.path)
    at = resume or {"header": 0, "passed": 0, **_BEHIND}
    with ByteStream(source, reserve=reserve) as stream:
        skip_bytes(stream, at["header"], name=name)
        try:
            yield from _members(stream, name, options, reserve, at)
        except (_Damaged, tarfile.TarError, EOFError) as error:
            raise BadInput(
                f"{name}: damaged or cut off: {error}",
                do=f"tar -tf {shell_word(source.path)}, and download the file again",
            ) from error


def _members(
    stream: ByteStream, name: str, options: ReadOptions, reserve: Reserve, at: dict[str, Any]
) -> Iterator[Piece]:
    _Member.ended = False
    # ignore_zeros: archives may follow each other; a header that is damaged is an error all the same.
    archive = tarfile.open(  # noqa: SIM115 - it owns nothing
        fileobj=stream,
        mode="r|",
        tarinfo=_Member,
        ignore_zeros=True,
        errorlevel=2,  # type: ignore[call-overload]
    )
    first, inside = at["header"], {key: at[key] for key in _BEHIND if key in at}
    passed, extensions = at.get("passed", 0), set()
    while (member := archive.next()) is not None:
        archive.members.clear()  # it keeps them all
        header, start = first + member.offset, inside
        inside = dict(_BEHIND)
        kind, compression = _kind_of(member.name)
        if not member.isreg() or kind is None:
            passed += not member.isdir()
            extensions |= set() if member.isdir() else {_extension(member)}
            continue
        file: Any = archive.extractfile(member)
        shown = f"{name}: {printable(member.name)}"
        packed = Unpacked(file, compression, shown, reserve=reserve, held=lambda: stream.held) if compression else None
        content: Readable = packed or file
        held = partial(getattr, packed or stream, "held")  # by the time that it is asked
        for piece in (_text if kind == "text" else _lines)(content, shown, options, reserve, start, held):
            place = {"header": header, "passed": passed, **piece.resume}
            where = f"member {printable(member.name)}, {piece.where}"
            yield replace(piece, resume=place, where=where, member=member.name)
    if passed:
        more = " ..." if len(extensions) > _EXTENSIONS_SHOWN else ""
        kinds = " ".join(sorted(extensions)[:_EXTENSIONS_SHOWN]) + more
        options.note(f"{name}: ignored: {passed:,} {'member' if passed == 1 else 'members'} ({kinds or 'no text'})")
    if not _Member.ended:
        raise _Damaged("it ends without the blocks of zeros that end an archive")


def _extension(member: tarfile.TarInfo) -> str:
    """What is said of a member that is passed over."""
    if not member.isreg():
        return "links" if member.islnk() or member.issym() else "devices"
    return printable(PurePosixPath(member.name.lower()).suffix) or "no extension"


def _kind_of(member: str) -> tuple[str | None, Any]:
    path = PurePosixPath(member.lower())
    compression = COMPRESSIONS.get(path.suffix)
    extension = PurePosixPath(path.stem).suffix if compression else path.suffix
    kind = "jsonl" if extension == ".json" else BY_EXTENSION.get(extension)
    return (kind if kind in ("text", "jsonl") else None), compression


def _text(
    content: Readable, name: str, options: ReadOptions, reserve: Reserve, start: dict[str, Any], held: Held
) -> Iterator[Piece]:
    stream = UnifiedNewlines(content) if options.universal_newlines else content
    reader = TextReader(name, stream, options, reserve, held=held)
    for piece in reader.pieces(start):
        yield replace(piece, resume={"line": 1, **piece.resume})


def _lines(
    content: Readable, name: str, options: ReadOptions, reserve: Reserve, start: dict[str, Any], held: Held
) -> Iterator[Piece]:
    skip_bytes(content, start["offset"], name=name)
    place = {"offset": start["offset"], "line": start["line"]}
    for piece in LineReader(content, name, options, reserve, held=held).pieces(place):
        data, origin = b"".join(piece.data), piece.origin
        if piece.starts_document and data.startswith(_BOM):  # of the member
            data, origin = data[len(_BOM) :], origin + len(_BOM)
        values = data.removesuffix(b"\n").split(b"\n")
        origins = [*accumulate((len(value) + 1 for value in values), initial=origin)][:-1]
        resume = {**piece.resume, "starts": True}
        yield Piece([pack(values, origins)], True, True, resume, piece.where, "values")  # noqa: FBT003
