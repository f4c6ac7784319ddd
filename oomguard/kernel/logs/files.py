"""Log files, and standard input, as streams of blocks."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NeedsPrivilege, NothingFound
from oomguard.kernel.logs.packing import Packed, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_JOURNAL = b"LPKSHHRH"


def read_log(path: Path) -> Iterator[bytes]:
    """Open a log and give its blocks as UTF-8. What may not or cannot be opened raises at once.

    Raises: NothingFound, NeedsPrivilege or BadInput; BadInput also later, where an archive is torn.
    """
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise _unopened(path, error) from error
    if path.is_dir():
        file.close()
        raise BadInput(f"{path} is a folder", do=f"oomguard diagnose '{path}'/*")
    head, seekable = _peek(file)
    if head.startswith(_JOURNAL):
        file.close()
        raise BadInput(
            f"{path} is the journal's own format",
            do=f"journalctl --file '{path}' -o short-iso | oomguard diagnose -",
        )
    return unpack(Packed(name=str(path), file=file, head=head, seekable=seekable))


def read_stdin() -> Iterator[bytes]:
    """Give what comes on standard input, as it comes, unpacked."""
    file = io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False))
    return unpack(Packed(name="standard input", file=file, head=file.peek(16)[:16], seekable=False))


def _unopened(path: Path, error: OSError) -> Exception:
    if isinstance(error, FileNotFoundError):
        return NothingFound(f"no file {path}", do="ls -l /var/log; without FILE this machine's own logs are read")
    if isinstance(error, PermissionError):
        return NeedsPrivilege(f"may not read {path}", do=f"sudo cat '{path}' | oomguard diagnose -")
    if isinstance(error, IsADirectoryError):
        return BadInput(f"{path} is a folder", do=f"oomguard diagnose '{path}'/*")
    return BadInput(f"could not open {path}: {error.strerror}", do="check the file, or copy it elsewhere first")


def _peek(file: BinaryIO) -> tuple[bytes, bool]:
    if not file.seekable():
        return b"", False
    head = file.read(16) or b""
    file.seek(0)
    return head, True
