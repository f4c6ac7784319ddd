"""The sha256 of shards: taken while they are written, and whether those on disk are what was written."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, Changed
from oomguard.preparation.writing.side_thread import hash_part
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import Layout, OutputFormat
    from oomguard.preparation.writing.manifest import Progress


def file_identity(status: os.stat_result) -> list[int]:
    """What another file, or a change to this one, makes differ: inode, and nanoseconds of mtime and ctime."""
    return [status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def require_shards(folder: Path, progress: Progress, *, output: OutputFormat, layout: Layout, every_byte: bool) -> None:
    """What earlier runs finished must be there as it was left.

    A file that is not touched since it got its name is believed to hold what was written; of any other, and with
    `every_byte` of all of them, the sha256 is taken.
    Raises: Changed with the first shard that is gone or differs; BadInput if one cannot be read.
    """
    for shard in (*progress.shards, *progress.provenance):
        file, size = folder / shard["path"], shard.get("bytes")
        if size is None:
            size = len(output.header(layout, shard["tokens"])) + shard["tokens"] * layout.token_bytes
        status = _status(file, size)
        untouched = file_identity(status) == progress.files[shard["path"]]
        if (every_byte or not untouched) and sha256_of(file) != shard["sha256"]:
            raise _not_as_left(file, "holds different bytes now (its sha256 differs)")

    whole = progress.result.get("files", []) if progress.result else []
    for beside in (*whole, *(file for shard in progress.shards for file in shard.get("index", ()))):
        file = folder / beside["path"]
        _status(file, beside["bytes"])
        if every_byte and sha256_of(file) != beside["sha256"]:
            raise _not_as_left(file, "holds different bytes now (its sha256 differs)")


def _status(file: Path, size: int) -> os.stat_result:
    if not file.is_file() or file.is_symlink():
        raise _not_as_left(file, "is gone")
    status = file.stat()
    if status.st_size != size:
        raise _not_as_left(file, f"has {status.st_size:,} bytes and not {size:,}")
    return status


def require_own_leftovers(folder: Path, progress: Progress) -> list[Path]:
    """Give the shards behind the last checkpoint, which are made again.

    Raises: BadInput if a file with such a name is not what the earlier run wrote.
    """
    left = []
    for name, sums in progress.told.items():
        file = folder / name
        if not os.path.lexists(file):
            continue
        if not file.is_file() or file.is_symlink() or sha256_of(file) not in sums:
            raise not_ours(file)
        left.append(file)
    return left


def not_ours(file: Path) -> BadInput:
    """Somebody else has a file where a shard is to be."""
    return BadInput(
        f"{printable(str(file))} is already there and was not made by this run",
        do="another --out FOLDER, or move it away",
    )


def sha256_of(file: Path) -> str:
    """Read a file from disk, and not from what the kernel still remembers of it.

    Raises: BadInput if it cannot be read.
    """
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            digest = hash_part(fd, hashlib.sha256(), 0, os.fstat(fd).st_size)
        finally:
            os.close(fd)
    except OSError as error:
        raise BadInput(
            f"{printable(str(file))} cannot be read: {error.strerror}", do="another --out FOLDER, or move it away"
        ) from error
    return str(digest.hexdigest())


def _not_as_left(file: Path, how: str) -> Changed:
    return Changed(f"{printable(str(file))} was made by an earlier run and {how}", do="--restart makes all of it again")
