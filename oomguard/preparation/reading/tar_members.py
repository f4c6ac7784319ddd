"""A tar archive: its files of text and of JSON Lines, one after another, and nothing is unpacked on disk.

Names in an archive only say of what kind a member is; none is ever opened. A text file is a document, or several with
--separator. Links and devices hold no text of their own.
"""

from __future__ import annotations

import tarfile
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.reading.byte_stream import ByteStream, UnifiedNewlines, Unpacked, skip_bytes
from oomguard.preparation.reading.kinds import BY_EXTENSION, COMPRESSIONS
from oomguard.preparation.reading.line_stream import LineReader
from oomguard.preparation.reading.pieces import Piece, pack
from oomguard.preparation.reading.text_stream import TextReader
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oomguard.preparation.reading.byte_stream import Readable
    from oomguard.preparation.reading.pieces import Held, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source

_EXTENSIONS_SHOWN = 8
_BOM = b"\xef\xbb\xbf"
_BEHIND = {"offset": 0, "line": 1, "starts": True}  # the next member, from its beginning


class _Damaged(Exception):
    """A header that is none: tarfile itself takes it for the end."""


class _Member(tarfile.TarInfo):
    ended = False  # a block of zeros was seen since the last header

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> _Member:
        return cls._noted(super().frombuf, buf, encoding, errors)

    @classmethod
    def _frombuf(cls, buf: Any, encoding: str, errors: str, **how: bool) -> _Member:
        """Where there is one, as in Debian 12's Python, tarfile calls it in place of frombuf."""
        return cls._noted(super()._frombuf, buf, encoding, errors, **how)  # type: ignore[misc]

    @classmethod
    def _noted(cls, read: Callable[..., Any], buf: Any, encoding: str, errors: str, **how: bool) -> _Member:
        try:
            found: _Member = read(buf, encoding, errors, **how)
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
        if not member.isreg() or kind is None or _is_fork(member.name):
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
    if _is_fork(member.name):
        return "._*"
    return printable(PurePosixPath(member.name.lower()).suffix) or "no extension"


def _is_fork(member: str) -> bool:
    """Whether macOS wrote it beside a file, for its attributes; it has that file's name behind two characters."""
    return PurePosixPath(member).name.startswith("._")


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
