"""Files and standard input as one stream of bytes, decompressed on the way."""

from __future__ import annotations

import codecs
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self

from isal import isal_zlib

from oomguard.errors import BadInput, Changed
from oomguard.preparation.encoding.safe_cuts import unify_newlines
from oomguard.preparation.reading.packed_streams import DamagedStream, PackedStreams, decoder_memory
from oomguard.preparation.reading.pieces import USUAL
from oomguard.preparation.reading.recognising import compression_of
from oomguard.text import printable, shell_word
from oomguard.units import KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.packed_streams import Packed
    from oomguard.preparation.reading.pieces import Held, Piece, Reserve
    from oomguard.preparation.reading.source import Source

STDIN_FD = 0

_CHECKERS = {"gz": "gzip -t", "zst": "zstd -t", "xz": "xz -t", "bz2": "bzip2 -t"}
_SKIPPABLE = b"\x2a\x4d\x18"  # behind its first byte: a zstd frame without text
_DAMAGES = (OSError, DamagedStream)


class Readable(Protocol):
    """What the readers of text and lines need of a stream."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, at most `size`; b"" only at the end."""


class ByteStream:
    """The decompressed bytes of a source, in order.

    All members of a .gz, frames of a .zst and streams of a .xz or .bz2 are read.
    """

    def __init__(self, source: Source, *, reserve: Reserve) -> None:
        """Open the source; the memory of a decoder with a large window (xz -9, zstd --long) is asked for before it.

        Raises: BadInput if it cannot be opened; whatever `reserve` does, here or in `read`, for a further stream.
        """
        self._name, self._word = printable(source.path), shell_word(source.path)
        self._is_remote = source.is_remote
        self._compression = source.compression
        self._given = 0  # bytes
        self._renamed = ""  # what its name should be, where that says another compression than its first bytes
        self._file = _open(source)
        self.seekable = source.compression is None and source.path != "-"
        head = b""
        if source.path == "-":  # it has no name that could say how it is compressed
            head = self._file.read(64 * KIB)
            self._compression = compression_of(head)
            self._file = _Rest(head, self._file)  # type: ignore[assignment]  # all that decoders need of a file
        self._reserve = reserve
        self.held = 0  # bytes of memory that the decoder takes beyond the usual
        try:
            if self._compression is not None and source.path != "-":
                head = self._file.read(64 * KIB)
                self._file.seek(0)
                self._renamed = _renamed(source.path, self._compression, head)
            self._ask(head)
            self._decoded = self._decode()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, at most `size`; b"" only at the end.

        Raises: BadInput where the compressed data is damaged or cut off, or the file cannot be read.
        """
        try:
            got: bytes = self._decoded.read(size)
        except _DAMAGES as error:
            raise self._damaged(error) from error
        self._given += len(got)
        return got

    def seek(self, offset: int) -> None:
        """Go on at `offset`; only where `seekable`. Raises: Changed if the file is shorter."""
        size = self._file.seek(0, 2)
        if size < offset:
            raise _shorter(self._name, size, offset)
        self._file.seek(offset)

    def compressed_position(self) -> int:
        """Give how many bytes of the file itself have been taken so far."""
        return self._file.tell()

    def _ask(self, head: bytes) -> None:
        """Ask for the memory that the stream which begins with `head` takes, where that is more than was asked for."""
        window = decoder_memory(head, self._compression)
        if window > max(self.held, USUAL):
            self._reserve(window, f"{self._name}: its {self._compression} dictionary")
            self.held = window

    def _decode(self) -> Any:
        if self._compression is None:
            return self._file
        return PackedStreams(self._file, self._compression, before_stream=self._ask)

    def _damaged(self, error: Exception) -> BadInput:
        if self._compression is None:
            return BadInput(f"{self._name} cannot be read: {error}", do=f"ls -l {self._word}")
        within = getattr(error, "within", 0)
        where = f"within the next {format_size(within)} after" if within else "after"
        where = f"{where} {self._given} bytes of decompressed text"
        if self._is_remote:
            return BadInput(
                f"{self._name}: damaged {where}: {error}",
                do="it is damaged on its server, and must be fixed there; --bad-files skip keeps what comes before",
            )
        if not self._given and self._renamed:
            return BadInput(
                f"{self._name} is not {self._compression}, although its name says so: its first bytes differ",
                do=f"mv -n {self._word} {self._renamed}, or, if it is damaged, download the file again",
            )
        return BadInput(
            f"{self._name}: damaged or cut off {where}: {error}",
            do=f"{_CHECKERS[self._compression]} {self._word}, and download the file again",
        )


def _renamed(path: str, compression: Packed, head: bytes) -> str:
    found = compression_of(head)
    stem, dot, ending = path.rpartition(".")
    if found == compression or head[1:4] == _SKIPPABLE or ending not in _CHECKERS or not dot:
        return ""
    return shell_word(stem if found is None else f"{stem}.{found}")


class Stretch:
    """The bytes of a stream from `begin` to before `end`, as a stream."""

    seekable = True

    def __init__(self, stream: ByteStream, begin: int, end: int) -> None:
        """Of a stream that is `seekable`. Raises: Changed."""
        self._stream, self._begin, self._left = stream, begin, end - begin
        stream.seek(begin)

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, at most `size`; b"" only at the end. Raises: as ByteStream's."""
        got = self._stream.read(min(size, self._left))
        self._left -= len(got)
        return got

    def seek(self, offset: int) -> None:
        """Go on at `offset` of the stretch, from its begin."""
        self._stream.seek(self._begin + offset)
        self._left -= offset


class _Rest:
    """A stream of which the begin was looked at."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    @property
    def closed(self) -> bool:
        return self._file.closed

    def read(self, size: int, /) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head + self._file.read(size - len(head)) if len(head) < size else head

    def close(self) -> None:
        self._file.close()


class Unpacked:
    """The decompressed bytes of a file that is a part of another one."""

    def __init__(self, file: BinaryIO, compression: Packed, name: str, *, reserve: Reserve, held: Held) -> None:
        """`held`: what the file that it is a part of has asked for. Raises: as ByteStream."""
        self._compression = compression
        self._name = name
        self._reserve = reserve
        self._outer = held
        self._window = 0
        self._streams = PackedStreams(file, compression, before_stream=self._ask)

    @property
    def held(self) -> int:
        """Bytes of memory that its decoder takes beyond the usual, and the file that it is a part of."""
        return self._window + self._outer()

    def _ask(self, head: bytes) -> None:
        window = decoder_memory(head, self._compression)
        if window > max(self._window, USUAL):
            self._reserve(window + self._outer(), f"{self._name}: its {self._compression} dictionary")
            self._window = window

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, at most `size`; b"" only at the end. Raises: BadInput for damaged data."""
        try:
            return self._streams.read(size)
        except DamagedStream as error:
            raise BadInput(f"{self._name}: damaged or cut off: {error}", do="download the file again") from error


class UnifiedNewlines:
    """A stream with CR LF and CR read as LF, as in Python's text mode."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._half = b""  # a CR that may be the first half of a line end
        self._ready = b""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, at most `size`; b"" only at the end."""
        while not self._ready:
            got = self._stream.read(size)
            text = self._half + got
            self._half = b"\r" if got and text.endswith(b"\r") else b""
            self._ready = unify_newlines(text.removesuffix(self._half))
            if not got:
                break
        given, self._ready = self._ready[:size], self._ready[size:]
        return given


class Transcoded:
    """A stream of characters in another encoding as UTF-8: checked strictly, since what is wrong there is not text."""

    def __init__(self, stream: Readable, encoding: str, name: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding = encoding
        self._name = name
        self._taken = 0
        self._ready = b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, at most `size`; b"" only at the end.

        Raises: BadInput with the place of a byte that the encoding does not have there.
        """
        while not self._ready and not self._ended:
            got = self._stream.read(size)
            self._ended = not got
            self._ready = self._decode(got)
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def _decode(self, got: bytes) -> bytes:
        kept = len(self._decoder.getstate()[0])  # of a character that is not whole yet
        try:
            text = self._decoder.decode(got, final=not got).encode()
        except UnicodeError as error:
            at = (
                self._taken - kept + getattr(error, "start", 0)
                if isinstance(error, UnicodeDecodeError)
                else self._taken
            )
            raise BadInput(
                f"{self._name}: byte {at}: not {self._encoding} ({getattr(error, 'reason', error)})",
                do="--input-encoding NAME, the encoding that it is written in; it is checked strictly, "
                "whatever --errors says",
            ) from error
        self._taken += len(got)
        return text


def with_reach(pieces: Iterator[Piece], stream: ByteStream, source: Source) -> Iterator[Piece]:
    """Say with each piece how far its file was read, where that is on a server and no descriptor tells it."""
    for piece in pieces:
        yield replace(piece, read_to=stream.compressed_position()) if source.is_remote else piece


def readable(stream: Readable, source: Source) -> Readable:
    """Give the stream's characters as UTF-8."""
    return Transcoded(stream, source.encoding, printable(source.path)) if source.encoding else stream


def skip_bytes(stream: Readable, size: int, *, name: str, crc: int | None = None) -> None:
    """Read past what an earlier run has read; `crc`: the CRC-32 these bytes must have.

    Raises: Changed if the stream is shorter, or other bytes.
    """
    now = done = 0
    if crc is None and isinstance(stream, ByteStream | Stretch) and stream.seekable:
        stream.seek(size)
        return
    while done < size:
        got = stream.read(min(MIB, size - done))
        if not got:
            raise _shorter(name, done, size)
        done += len(got)
        if crc is not None:
            now = isal_zlib.crc32(got, now)
    if crc is not None and now != crc:
        raise Changed(
            f"{name}: its first {size} bytes are not those that the earlier run read",
            do="give the same input again, or start over with --restart",
        )


def _open(source: Source) -> BinaryIO:
    if source.is_remote:
        remote: Any = source.open_remote()
        return remote  # type: ignore[no-any-return]
    try:
        if source.path == "-":
            return open(STDIN_FD, "rb", closefd=False)
        return os.fdopen(source.open_here(), "rb")
    except OSError as error:
        name = printable(source.path)
        raise BadInput(f"{name} cannot be opened: {error.strerror}", do=f"ls -l {shell_word(source.path)}") from error


def _shorter(name: str, size: int, offset: int) -> Changed:
    return Changed(
        f"{name}: it has only {size} bytes, but the earlier run had read {offset}",
        do="give the same input again, or start over with --restart",
    )
