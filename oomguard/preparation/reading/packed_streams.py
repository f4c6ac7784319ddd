"""Compressed streams that follow each other in a file, each decoded to its end and nothing between them passed over.

Python's own lzma.open and bz2.open take whatever is wrong in the first 8 KiB of a further stream for the end of the
data; Arrow's readers stop at an empty bz2 stream, refuse the zeros that tapes and tar put behind a gzip file, and
read no zstd window above 128 MiB.
"""

from __future__ import annotations

import bz2
import lzma
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from isal import igzip_lib

from oomguard.errors import OomguardError
from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.reading.arrow_messages import OutsideError, largest_batch
from oomguard.preparation.reading.pieces import USUAL
from oomguard.text import printable
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.preparation.reading.source import Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

Packed = Literal["gz", "xz", "bz2", "zst"]

_READ = 256 * KIB
_XZ_PADDING = 4  # bytes; stream padding is a multiple of it: the .xz file format, 2.2
_HEADER = 64  # bytes that say how much memory a stream takes; a zstd frame has up to 18
_LARGEST_XZ = 8192 * MIB  # more than any dictionary, which is 4 GiB at most: xz(1)
_LARGEST_WINDOW = 31  # zstd --long=31; what a window takes is asked for before


_GZIP_ERROR: Any = igzip_lib.IsalError  # isal's stub does not say that it is a class
_ERRORS: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, lzma.LZMAError, zstd.ZstdError, _GZIP_ERROR)
_HEAD = 64 * KIB  # of a compressed file, which says what decoding takes
_FILES = 4096  # that are looked into
_ARROW_FILES = 64
_BATCHES = 256  # of each


class DamagedStream(Exception):
    """Says what is wrong, in which stream, and where in the file that begins."""

    def __init__(self, what: str, *, within: int = 0) -> None:
        """`within`: how many bytes behind the last that was given it may be; 0: right there."""
        super().__init__(what)
        self.within = within


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class PackedStreams:
    """Decodes the streams of a file; zeros behind one, up to the next one or the end, are padding."""

    def __init__(self, file: BinaryIO, packed: Packed, *, before_stream: Callable[[bytes], None]) -> None:
        """`before_stream` is shown the head of each stream before it is decoded, and may refuse it."""
        self._file = file
        self._packed = packed
        self._before_stream = before_stream
        self._decoder: _Decoder | None = None
        self._unread = b""
        self._taken = 0  # bytes of the file
        self._number = 0  # of the stream, from 1
        self._start = 0  # of the stream in the file
        self._problem: Exception | None = None

    def read(self, size: int) -> bytes:
        """Give the next bytes, at most `size`, and holding not much more; b"" only at the end.

        Raises: DamagedStream, once all that was decoded before is given; OSError; whatever `before_stream` does.
        """
        parts: list[bytes] = []
        room = size
        try:
            while room and self._problem is None and (self._decoder is not None or self._next_stream()):
                got = self._decode(room)
                room -= len(got)
                parts.append(got)
        except (DamagedStream, OSError, OomguardError) as problem:
            self._problem = problem
        if self._problem is not None and room == size:
            raise self._problem
        return b"".join(parts)

    def _next_stream(self) -> bool:
        """Begin the next stream; False at the end of the file."""
        zeros = 0
        while self._fill():
            left = self._unread.lstrip(b"\0") if self._number and self._packed != "zst" else self._unread
            zeros += len(self._unread) - len(left)
            self._unread = left
            if left:
                break
        if self._packed == "xz" and zeros % _XZ_PADDING:
            raise DamagedStream(
                f"{zeros} zero bytes after stream {self._number}, where padding is a multiple of {_XZ_PADDING}"
            )
        if not self._unread and self._number:
            return False
        while len(self._unread) < _HEADER and (more := self._file.read(_HEADER)):
            self._unread += more
            self._taken += len(more)
        self._number += 1
        self._start = self._taken - len(self._unread)
        self._before_stream(self._unread)
        self._decoder = _new_decoder(self._packed)
        return True

    def _decode(self, size: int) -> bytes:
        assert self._decoder is not None
        if self._decoder.needs_input and not self._fill():
            raise self._damaged("the file ends before the stream does")
        data, self._unread = self._unread, b""
        try:
            got = self._decoder.decompress(data, size)
        except MemoryError as error:
            raise self._damaged("no memory for its window") from error
        except _ERRORS as error:
            raise self._damaged(str(error), within=size) from error
        if self._decoder.eof:
            self._unread = self._decoder.unused_data
            self._decoder = None
        return got

    def _fill(self) -> bool:
        """Have something unread; False at the end of the file."""
        if not self._unread:
            self._unread = self._file.read(_READ)
            self._taken += len(self._unread)
        return bool(self._unread)

    def _damaged(self, what: str, *, within: int = 0) -> DamagedStream:
        where = f"stream {self._number}, which begins at byte {self._start} of the file"
        return DamagedStream(f"{where}: {what}", within=within)


def _new_decoder(packed: Packed) -> _Decoder:
    if packed == "xz":
        return lzma.LZMADecompressor()
    if packed == "zst":
        decoder: Any = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW})
        return decoder  # type: ignore[no-any-return]
    # isal gives 620 MB/s of text, where zlib gives 230; igzip_lib's decoder copies less than isal_zlib's.
    return bz2.BZ2Decompressor() if packed == "bz2" else igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def decoder_memory(head: bytes, compression: str | None) -> int:
    """Bytes that decoding takes of a stream that begins with `head`, where it may be much; else 0."""
    if compression == "xz":
        return _xz_memory(head)
    return _zstd_window(head) if compression == "zst" else 0


def _zstd_window(head: bytes) -> int:
    """Bytes of a frame's window. Source: RFC 8878, 3.1.1.1."""
    if len(head) < 6 or not head.startswith(b"\x28\xb5\x2f\xfd"):
        return 0
    descriptor = head[4]
    if not descriptor & 0x20:
        base = 1 << (10 + (head[5] >> 3))
        return base + base // 8 * (head[5] & 7)
    # A single segment, as the library's one call writes it: all of the content is its window.
    at = 5 + (0, 1, 2, 4)[descriptor & 3]
    size = (1, 2, 4, 8)[descriptor >> 6]
    return int.from_bytes(head[at : at + size], "little") + (256 if size == 2 else 0)


def _xz_memory(head: bytes) -> int:
    """Bytes that decoding takes, by trying limits: the library does not tell what it would need."""
    limit = USUAL
    while limit < _LARGEST_XZ:
        try:
            lzma.LZMADecompressor(memlimit=limit).decompress(head, max_length=1)
        except lzma.LZMAError as error:
            if "emory" not in str(error):
                return 0  # damaged: the reading will say so
            limit *= 2
        else:
            break
    return limit


# What reading a source takes at once, as far as its first bytes say it: the window of a decoder, a batch of Arrow.
#
# It is planned with at the start; what comes later in a file, and is larger, is asked for when it is reached.


def memory_ahead(sources: Iterable[Source]) -> tuple[int, str]:
    """Give the most that one of the sources takes at once beyond the usual, in bytes, and what for; 0 if none does."""
    largest, what = 0, ""
    packed = [source for source in sources if source.path != "-" and not source.is_remote]
    arrow = sorted((one for one in packed if one.kind == "arrow"), key=lambda one: -(one.size or 0))
    windows = [one for one in packed if one.compression in ("zst", "xz")]
    for source in (*arrow[:_ARROW_FILES], *windows[:_FILES]):
        is_arrow = source.kind == "arrow"
        with suppress(OSError, OutsideError):  # that it cannot be read is said where it is opened
            if is_arrow:
                need = largest_batch(source.path, source.text_field, most=_BATCHES)
            else:
                with open_regular(source.path) as file:
                    need = decoder_memory(file.read(_HEAD), source.compression)
            if need > max(largest, USUAL):
                kind = "a compressed batch" if is_arrow else f"the {source.compression} dictionary"
                largest, what = need, f"{kind} of {printable(source.path)}"
    return largest, what
