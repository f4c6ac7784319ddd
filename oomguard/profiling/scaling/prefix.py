"""The first part of a text file as a file of its own, cut at the end of a line."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NothingFound
from oomguard.kernel.plain_files import open_regular
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from pathlib import Path

_USAGE = "oomguard profile --scale-input FILE -- COMMAND, where FILE is the command's input"
_CHUNK = 1 << 20
_COPIED = 64 << 20  # bytes at once


def check_can_be_cut(path: Path) -> int:
    """Give the size of a file of text lines. Raises: NothingFound; BadInput if it is not one."""
    shown = printable(str(path))
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            beginning = file.read(_CHUNK)
    except FileNotFoundError as error:
        raise NothingFound(f"there is no file {shown}", do=_USAGE) from error
    except OSError as error:
        raise BadInput(
            f"{shown} cannot be read: {error.strerror}",
            do=_USAGE,
        ) from error
    if not size:
        raise BadInput(f"{shown} is empty", do=_USAGE)
    if b"\0" in beginning or beginning[:4] == b"PAR1":
        raise BadInput(
            f"{shown} is not text: a part of it is not a valid file of its kind",
            do="oomguard profile -- COMMAND, on smaller files of that kind",
        )
    if b"\n" not in beginning and len(beginning) == _CHUNK:
        raise BadInput(
            f"{shown} has no line end in its first {format_size(_CHUNK)}, so that it cannot be cut there",
            do="oomguard profile -- COMMAND",
        )
    return size


def write_prefix(path: Path, wanted: int, target: Path) -> int:
    """Copy about the first `wanted` bytes of `path`, to the end of a line; gives how many.

    On file systems that share blocks between files nothing is copied.
    Raises: BadInput if there is no room.
    """
    free = shutil.disk_usage(target.parent).free
    if free < wanted + _CHUNK:
        raise BadInput(
            f"a part of {printable(str(path))} needs {format_size(wanted)} in {target.parent}: "
            f"{format_size(free)} are free",
            do="export TMPDIR=/var/tmp, or another folder with room",
        )
    with open_regular(path) as source, target.open("wb") as copy:
        source.seek(wanted)
        size = wanted + len(source.readline(_CHUNK))
        try:
            _copy(source.fileno(), copy.fileno(), size)
        except OSError as error:
            raise BadInput(
                f"a part of {printable(str(path))} could not be written: {error.strerror}",
                do="export TMPDIR=/var/tmp, or another folder with room",
            ) from error
    return size


def _copy(source: int, target: int, size: int) -> None:
    done = 0
    while done < size:
        try:
            got = os.copy_file_range(source, target, min(_COPIED, size - done), done, done)
        except OSError:
            chunk = os.pread(source, min(_CHUNK, size - done), done)
            got = os.pwrite(target, chunk, done)
        if got == 0:
            return  # it became shorter meanwhile
        done += got
