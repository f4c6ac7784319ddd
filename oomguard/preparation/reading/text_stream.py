"""Text that cannot be read at any place, compressed or from standard input, in pieces."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from isal import isal_zlib

from oomguard.errors import BadInput
from oomguard.preparation.encoding.cutting import find_val_start
from oomguard.preparation.encoding.safe_cuts import last_safe_cut
from oomguard.preparation.reading.byte_stream import (
    ByteStream,
    Stretch,
    UnifiedNewlines,
    readable,
    skip_bytes,
    with_reach,
)
from oomguard.preparation.reading.pieces import Piece, no_cut
from oomguard.preparation.reading.recognising import HEAD, refuse_json_lines
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.byte_stream import Readable
    from oomguard.preparation.reading.pieces import Held, ReadOptions, Reserve
    from oomguard.preparation.reading.source import Source

_COPIES = 3  # of a long stretch without a cut: what is read, the window that is searched, the piece


def iter_text(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the stream in pieces, cut between documents or at safe cuts.

    The documents are `text.split(separator)`; a separator at the very end ends the last one and begins no other, and
    an empty stream has none. Positions count decompressed bytes, after `universal_newlines` took effect. From standard
    input they carry the CRC-32 of all bytes before, so that a resumed run notices another stream.
    With `val_share` its end is for validation, as `PlainFeed` cuts it where the file is here.
    Raises: BadInput for damaged data and for text that cannot be cut; Changed; whatever `reserve` does.
    """
    with ByteStream(source, reserve=reserve) as raw:
        if source.divisible_text and (options.val_share or source.part is not None):
            yield from with_reach(_divided(source, raw, options, resume, reserve), raw, source)
            return
        stream = readable(raw, source)
        stream = UnifiedNewlines(stream) if options.universal_newlines else stream
        reader = TextReader(printable(source.path), stream, options, reserve, held=lambda: raw.held)
        pieces = reader.pieces(resume, digest=source.path == "-", guessed=source.guessed)
        yield from with_reach(pieces, raw, source)


def _divided(
    source: Source, raw: ByteStream, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the pieces before and behind where validation begins, of the part of the file that the source is."""
    size = source.size or 0
    first, last = source.begin, size if source.end is None else source.end
    cut = partial(last_safe_cut, family=options.family, separator=b"", universal_newlines=options.universal_newlines)
    val_from = size
    if options.val_share and last > int(size * (1 - options.val_share)):  # else it is all before that
        with source.open_places() as places:
            val_from = find_val_start(places.read_at, cut, size=size, share=options.val_share)
    at = resume or {}
    for part, (begin, end) in enumerate(((first, min(last, val_from)), (max(first, val_from), last))):
        if part < at.get("part", 0) or (begin >= end and (part or source.part is not None)):
            continue
        stream: Readable = Stretch(raw, begin, end)
        stream = UnifiedNewlines(stream) if options.universal_newlines else stream
        whole = end in (val_from, size)
        reader = TextReader(
            printable(source.path), stream, options, reserve, held=lambda: raw.held, begin=begin, whole=whole
        )
        start = {"offset": 0, "starts": begin in (0, val_from)}
        for piece in reader.pieces(at if at.get("part", 0) == part and at else start):
            yield replace(
                piece, resume={**piece.resume, "part": part},
                split=("val" if part else "train") if options.val_share else None,
                goes_on=piece.ends_document and end < size and not options.separator,
            )  # fmt: skip


class TextReader:
    """Cuts a stream of text."""

    def __init__(
        self, name: str, stream: Readable, options: ReadOptions, reserve: Reserve, *, held: Held, begin: int = 0,
        whole: bool = True,
    ) -> None:  # fmt: skip
        """`begin`: where in the file the stream begins; without `whole` its end is a cut, and ends no document."""
        self._whole = whole
        self._begin = begin
        self._name = name
        self._stream = stream
        self._options = options
        self._reserve = reserve
        self._held = held
        self._window = b""
        self._offset = 0
        self._at_end = False
        self._problem: BadInput | None = None

    def pieces(self, resume: dict[str, Any] | None, *, digest: bool = False, guessed: bool = False) -> Iterator[Piece]:
        """Give the pieces from a position on. Raises: as `iter_text`."""
        position = resume or {"offset": 0, "starts": True, "crc": 0}
        crc: int | None = position["crc"] if digest else None
        skip_bytes(self._stream, position["offset"], crc=crc, name=self._name)
        self._offset, starts = position["offset"], position["starts"]
        if guessed and resume is None:
            self._fill(max(HEAD, self._options.piece_bytes))
            refuse_json_lines(self._name, self._window)
        while True:
            self._fill(self._options.piece_bytes)
            if not self._window and (starts or not self._whole):
                break
            data, taken, ends = self._next()
            if crc is not None:
                crc = isal_zlib.crc32(memoryview(self._window)[:taken], crc)
            origin = self._begin + self._offset
            self._offset += taken
            self._window = self._window[taken:]
            after: dict[str, Any] = {"offset": self._offset, "starts": ends}
            if crc is not None:
                after["crc"] = crc
            yield Piece([data], starts, ends, after, f"byte {origin}", origin=origin)
            starts = ends
            if self._at_end and not self._window:
                break
        if self._problem is not None:
            raise self._problem

    def _fill(self, reach: int) -> None:
        """Have more than `reach` bytes in the window, or all there are."""
        parts, size = [self._window], len(self._window)
        while size <= reach and not self._at_end:
            try:
                got = self._stream.read(reach + 1 - size)
            except BadInput as problem:
                if not self._options.to_the_fault:
                    raise
                got, self._problem = b"", problem
            parts.append(got)
            size += len(got)
            self._at_end = not got
        self._window = b"".join(parts)

    def _next(self) -> tuple[bytes, int, bool]:
        """Give a piece, the bytes of the window it takes, whether it ends with a document."""
        separator, reach = self._options.separator, self._options.piece_bytes
        while True:
            self._fill(reach)
            head = self._window[:reach]
            documents = head.split(separator) if separator else [head]
            tail, whole = documents[-1], len(documents) - 1
            if self._at_end and len(self._window) <= reach:
                return self._last(tail, whole)
            if whole and len(tail) <= len(head) // 2:
                return self._up_to(len(head) - len(tail))
            # A separator may begin in the last bytes and be completed by the next ones: no cut among those.
            clear = tail[: len(tail) - max(0, len(separator) - 1)] if separator else tail
            cut = last_safe_cut(clear, family=self._options.family)
            if cut is not None:
                taken = len(head) - len(tail) + cut
                return self._window[:taken], taken, False
            if whole:
                return self._up_to(len(head) - len(tail))
            if reach >= self._options.longest_piece:
                raise no_cut(self._name, f"byte {self._begin + self._offset}", reach)
            reach = min(2 * reach, self._options.longest_piece)
            if reach > self._options.unasked:
                self._reserve(_COPIES * reach + self._held(), f"{self._name}: byte {self._begin + self._offset}")

    def _up_to(self, taken: int) -> tuple[bytes, int, bool]:
        """End with the last separator; it is left out, because the end of the piece says the same."""
        return self._window[: taken - len(self._options.separator)], taken, True

    def _last(self, tail: bytes, whole: int) -> tuple[bytes, int, bool]:
        taken = len(self._window)
        if not self._whole:
            return self._window, taken, False
        if whole and not tail:
            return self._up_to(taken)
        return self._window, taken, True
