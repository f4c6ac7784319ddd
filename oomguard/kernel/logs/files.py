"""Log files, and standard input, as streams of blocks, unpacked on the way."""

from __future__ import annotations

import bz2
import codecs
import errno
import gzip
import io
import lzma
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from oomguard.errors import BadInput, NeedsPrivilege, NothingFound
from oomguard.kernel.plain_files import open_readable
from oomguard.text import shell_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import IO, BinaryIO


# What a log is packed with, or written in: gzip, xz, bzip2, zstd, zip, UTF-16, unpacked in blocks of bounded size.

BLOCK = 1 << 20
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # root starts nothing that another user put in front
_GZIP, _XZ, _BZIP2, _ZSTD, _ZIP = b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
_XZ_MEMORY = 20 << 20  # xz -6 needs 9 MiB; -9 needs 65
_READ = 1 << 16
_MOST_MEMBERS = 10_000
_LARGEST_DIRECTORY = 4 << 20
_MOST_TIMES, _ALWAYS_ALLOWED = 200, 256 << 20  # how much larger than the archive its members may be
_ZIP_END = struct.Struct("<4s4H2IH")
_TORN = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    OSError,
    struct.error,
    NotImplementedError,
    RuntimeError,
)


class Packed(NamedTuple):
    """A log as it stands. `name` is for people; `head` are its first bytes, which `file` gives again."""

    name: str
    file: BinaryIO
    head: bytes
    seekable: bool


def unpack(packed: Packed) -> Iterator[bytes]:
    """Give the blocks of a log as UTF-8, whatever it is packed with. Closes the file.

    Raises: BadInput, where it is torn or would take more than is bounded.
    """
    return _as_utf8(_unpack(packed))


def _unpack(packed: Packed) -> Iterator[bytes]:
    name, file, head = packed.name, packed.file, packed.head
    with file:
        try:
            if head.startswith(_ZSTD):
                yield from _zstd(packed)
            elif head.startswith(_ZIP):
                yield from _zip(packed)
            elif head.startswith(_XZ):
                yield from _xz(file)
            else:
                source = _decoder(file, head)
                while block := source.read(BLOCK):
                    yield block
        except lzma.LZMAError as error:
            if "emory" in str(error):
                raise BadInput(
                    f"{name} takes more than {_XZ_MEMORY >> 20} MiB to unpack (xz with a large dictionary)",
                    do=f"xz -dc {shell_word(name)} | oomguard diagnose -",
                ) from error
            raise _torn(name, error) from error
        except _TORN as error:
            raise _torn(name, error) from error


def _decoder(file: BinaryIO, head: bytes) -> IO[bytes]:
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # reads bytes as one
    return bz2.BZ2File(file) if head.startswith(_BZIP2) else file


def _torn(name: str, error: Exception) -> BadInput:
    return BadInput(f"{name}: the archive is damaged: {error}", do=f"zcat -f {shell_word(name)} | oomguard diagnose -")


def _xz(file: IO[bytes]) -> Iterator[bytes]:
    """One or more streams, with a bound for the dictionary."""
    stream = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    data = file.read(_READ)
    while data or not stream.needs_input:
        block = stream.decompress(data, max_length=BLOCK)
        if block:
            yield block
        data = b""
        if stream.eof:
            data = stream.unused_data.lstrip(b"\0") or file.read(_READ).lstrip(b"\0")
            if not data:
                return
            stream = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
        elif stream.needs_input:
            data = file.read(_READ)
    raise EOFError("it ends too early")


def _zstd(packed: Packed) -> Iterator[bytes]:
    """Python reads .zst from 3.14 on; before, the zstd command or pyarrow does it."""
    name, file = packed.name, packed.file
    program = shutil.which("zstd", path=SYSTEM_PATH)
    if program and packed.seekable:
        with subprocess.Popen(
            [program, "-dcq"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as unpacking:
            assert unpacking.stdout is not None
            while block := unpacking.stdout.read(BLOCK):
                yield block
        if unpacking.returncode not in (0, -13):
            raise BadInput(f"{name}: the archive is damaged", do=f"zstd -dcf {shell_word(name)} | oomguard diagnose -")
        return
    try:
        import pyarrow as pa
    except ImportError as error:
        raise BadInput(
            f"{name} is compressed with zstd, which needs the zstd command or pyarrow",
            do="pip install pyarrow, or apt install zstd",
        ) from error
    with pa.CompressedInputStream(pa.PythonFile(file), "zstd") as unpacked:
        while block := unpacked.read(BLOCK):
            yield block


def _zip(packed: Packed) -> Iterator[bytes]:
    """Every member in turn. The table of members is bounded before it is read, the members while they are."""
    name, file = packed.name, packed.file
    by_hand = f"unzip -p {shell_word(name)} | oomguard diagnose -"
    if not packed.seekable:
        raise BadInput(
            f"{name} is a zip archive, which cannot be read from a pipe", do="unzip -p FILE.zip | oomguard diagnose -"
        )
    size = file.seek(0, 2)
    file.seek(max(0, size - 65557))
    end = file.read()
    place = end.rfind(b"PK\x05\x06")
    if place < 0:
        raise EOFError("it has no table of members")
    _, _, _, _, members, directory, _, _ = _ZIP_END.unpack_from(end, place)
    if members > _MOST_MEMBERS or directory > _LARGEST_DIRECTORY:
        raise BadInput(f"{name} holds more than {_MOST_MEMBERS:,} files", do=by_hand)
    allowed = max(_ALWAYS_ALLOWED, _MOST_TIMES * size)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist()[:_MOST_MEMBERS]:
            if member.is_dir():
                continue
            if member.flag_bits & 1:
                raise BadInput(
                    f"{name}: {member.filename[:80]} is encrypted",
                    do=f"unzip {shell_word(name)}; oomguard diagnose FILE",
                )
            if member.compress_type == zipfile.ZIP_LZMA:
                raise BadInput(
                    f"{name}: {member.filename[:80]} is compressed with LZMA",
                    do=f"7z x {shell_word(name)}; oomguard diagnose FILE",
                )
            with archive.open(member) as source:
                for block in _as_utf8(iter(partial(source.read, BLOCK), b"")):
                    allowed -= len(block)
                    if allowed < 0:
                        raise BadInput(f"{name} unpacks to more than {_MOST_TIMES} times its size", do=by_hand)
                    yield block
            yield b"\n"


def _as_utf8(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """PowerShell's redirection writes UTF-16; the first bytes tell."""
    given = iter(blocks)
    first = next(given, b"")
    encoding = _encoding(first)
    if encoding is None:
        yield first
        yield from given
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    yield decoder.decode(first).removeprefix("\ufeff").encode()
    for block in given:
        yield decoder.decode(block).encode()
    yield decoder.decode(b"", final=True).encode()


def _encoding(head: bytes) -> str | None:
    if head.startswith(b"\xff\xfe"):
        return "utf-16-le"
    if head.startswith(b"\xfe\xff"):
        return "utf-16-be"
    sample = head[:512]
    half = len(sample) // 2
    if half < 4:
        return None
    if sample[1::2].count(0) > 0.9 * half and not sample[0::2].count(0):
        return "utf-16-le"
    if sample[0::2].count(0) > 0.9 * half and not sample[1::2].count(0):
        return "utf-16-be"
    return None


# Log files, and standard input, as streams of blocks.

_JOURNAL = b"LPKSHHRH"


def read_log(path: Path) -> Iterator[bytes]:
    """Open a log and give its blocks as UTF-8. What may not or cannot be opened raises at once.

    Raises: NothingFound, NeedsPrivilege or BadInput; BadInput also later, where an archive is torn.
    """
    try:
        file = open_readable(path, buffering=0)
    except OSError as error:
        raise _unopened(path, error) from error
    if path.is_dir():
        file.close()
        raise BadInput(f"{path} is a folder", do=f"oomguard diagnose {shell_word(str(path))}/*")
    head, seekable = _peek(file)
    if head.startswith(_JOURNAL):
        file.close()
        raise BadInput(
            f"{path} is the journal's own format",
            do=f"journalctl --file {shell_word(str(path))} -o short-iso | oomguard diagnose -",
        )
    return unpack(Packed(name=str(path), file=file, head=head, seekable=seekable))


def read_stdin() -> Iterator[bytes]:
    """Give what comes on standard input, as it comes, unpacked."""
    file = io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False))
    return unpack(Packed(name="standard input", file=file, head=file.peek(16)[:16], seekable=False))


def _unopened(path: Path, error: OSError) -> Exception:
    if isinstance(error, FileNotFoundError):
        return NothingFound(f"{path} does not exist", do="oomguard diagnose  # without FILE: this machine's own logs")
    if isinstance(error, PermissionError):
        return NeedsPrivilege(f"may not read {path}", do=f"sudo cat {shell_word(str(path))} | oomguard diagnose -")
    if isinstance(error, IsADirectoryError):
        return BadInput(f"{path} is a folder", do=f"oomguard diagnose {shell_word(str(path))}/*")
    if error.errno == errno.EINVAL:  # a pipe with a name, or a device
        return BadInput(
            f"{path} is not a log: {error.strerror}", do=f"cat {shell_word(str(path))} | oomguard diagnose -"
        )
    return BadInput(f"could not open {path}: {error.strerror}", do="check the file, or copy it elsewhere first")


def _peek(file: BinaryIO) -> tuple[bytes, bool]:
    if not file.seekable():
        return b"", False
    head = file.read(16) or b""
    file.seek(0)
    return head, True
