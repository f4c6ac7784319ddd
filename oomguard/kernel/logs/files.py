"""Log files as streams of blocks, whatever they are packed with."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NeedsPrivilege, NothingFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

BLOCK = 1 << 20
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # root starts nothing that another user put in front
_GZIP, _XZ, _BZIP2, _ZSTD, _JOURNAL = b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", b"\x28\xb5\x2f\xfd", b"LPKSHHRH"


def read_log(path: Path) -> Iterator[bytes]:
    """Open a log and give its blocks. What may not or cannot be opened raises at once.

    Raises: NothingFound, NeedsPrivilege or BadInput; BadInput also later, where an archive is torn.
    """
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise _unopened(path, error) from error
    if path.is_dir():
        file.close()
        raise BadInput(f"{path} is a folder", do="name a file: oomguard diagnose --log FILE")
    head = _peek(file)
    if head.startswith(_JOURNAL):
        file.close()
        raise BadInput(
            f"{path} is the journal's own format",
            do=f"journalctl --file '{path}' -o short-iso | oomguard diagnose --log -",
        )
    return _unpacked(path, file, head)


def read_stdin() -> Iterator[bytes]:
    """Give what comes on standard input, as it comes."""
    while block := os.read(sys.stdin.fileno(), BLOCK):
        yield block


def _unopened(path: Path, error: OSError) -> Exception:
    if isinstance(error, FileNotFoundError):
        return NothingFound(f"no file {path}", do="ls -l /var/log; without --log this machine's own logs are read")
    if isinstance(error, PermissionError):
        return NeedsPrivilege(f"may not read {path}", do=f"sudo cat '{path}' | oomguard diagnose --log -")
    if isinstance(error, IsADirectoryError):
        return BadInput(f"{path} is a folder", do="name a file: oomguard diagnose --log FILE")
    return BadInput(f"could not open {path}: {error.strerror}", do="check the file, or copy it elsewhere first")


def _peek(file: BinaryIO) -> bytes:
    if not file.seekable():
        return b""
    head = file.read(16) or b""
    file.seek(0)
    return head


def _unpacked(path: Path, file: BinaryIO, head: bytes) -> Iterator[bytes]:
    if head.startswith(_ZSTD):
        yield from _zstd(path, file)
        return
    with file, _decoder(file, head) as source:
        try:
            while block := source.read(BLOCK):
                yield block
        except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            raise BadInput(
                f"{path}: the archive is torn: {error}", do=f"zcat -f '{path}' | oomguard diagnose --log -"
            ) from error


def _decoder(file: BinaryIO, head: bytes) -> BinaryIO:
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # reads bytes as one
    if head.startswith(_XZ):
        return lzma.LZMAFile(file)  # type: ignore[return-value]  # reads bytes as one
    return bz2.BZ2File(file) if head.startswith(_BZIP2) else file  # type: ignore[return-value]  # reads bytes as one


def _zstd(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Python reads .zst from 3.14 on; before, the zstd command or pyarrow does it."""
    if program := shutil.which("zstd", path=SYSTEM_PATH):
        with (
            file,
            subprocess.Popen(
                [program, "-dcq"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as unpacking,
        ):
            assert unpacking.stdout is not None
            while block := unpacking.stdout.read(BLOCK):
                yield block
        if unpacking.returncode not in (0, -13):
            raise BadInput(f"{path}: the archive is torn", do=f"zstd -dcf '{path}' | oomguard diagnose --log -")
        return
    try:
        import pyarrow as pa
    except ImportError as error:
        file.close()
        raise BadInput(
            f"{path} is packed with zstd, which needs the zstd command or pyarrow",
            do="pip install pyarrow, or apt install zstd",
        ) from error
    with file, pa.CompressedInputStream(pa.PythonFile(file), "zstd") as unpacked:
        while block := unpacked.read(BLOCK):
            yield block
