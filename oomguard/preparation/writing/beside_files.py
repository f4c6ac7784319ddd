"""Files that are made when a shard, or all of a split, is complete: built shards, indexes, what speaks of all shards.

Each is written under a temporary name, synced, told to the manifest with its sha256, and only then named.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from oomguard.kernel import safe_files
from oomguard.kernel.storage import start_writeback
from oomguard.preparation.writing.formats.base import FinishedShard
from oomguard.preparation.writing.manifest import disk_error, write_all
from oomguard.preparation.writing.shard_check import file_identity, not_ours
from oomguard.records import dataclass
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import Layout, OutputFormat

_WRITEBACK_BYTES = 8 * MIB  # dirty pages count against a cgroup's limit


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideFile:
    """One such file, complete under its temporary name."""

    path: str  # in the output folder
    temporary: Path
    size: int
    sha256: str

    def to_json(self) -> dict[str, str | int]:
        """As the manifest has it."""
        return {"path": self.path, "bytes": self.size, "sha256": self.sha256}


def write_beside(temporary: Path, path: str, content: Iterable[bytes]) -> BesideFile:
    """Write a file under its temporary name. Raises: OomguardError if the disk refuses, or what the content raises."""
    digest, size, done = hashlib.sha256(), 0, 0
    try:
        safe_files.unlink(temporary)  # it may be anything, and lead anywhere
        fd = safe_files.create(temporary)
        try:
            for data in content:
                write_all(fd, memoryview(data))
                digest.update(data)
                size += len(data)
                if size - done >= _WRITEBACK_BYTES:
                    start_writeback(fd, done, size - done, wait=True)
                    os.posix_fadvise(fd, 0, size, os.POSIX_FADV_DONTNEED)
                    done = size
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
    except OSError as error:
        raise disk_error(error, temporary) from error
    return BesideFile(path=path, temporary=temporary, size=size, sha256=digest.hexdigest())


def give_name(folder: Path, file: BesideFile, on_naming: Callable[[str, str], None]) -> list[int]:
    """Tell the manifest, then give the file its name; gives its identity.

    Raises: BadInput if the name is taken, or the disk refuses.
    """
    final = folder / file.path
    try:
        make_parent(folder, final)
        if os.path.lexists(final):  # since the run began: then all names were free
            raise not_ours(final)
        on_naming(file.path, file.sha256)
        safe_files.rename(file.temporary, final)
        safe_files.sync_folder(final.parent)
        return file_identity(final.stat())
    except OSError as error:
        raise disk_error(error, file.temporary) from error


def write_split_files(
    folder: Path,
    state: Path,
    output: OutputFormat,
    layout: Layout,
    shards: Sequence[dict[str, Any]],
    *,
    on_naming: Callable[[str, str], None],
) -> list[dict[str, str | int]]:
    """Write what speaks of all shards of a split, where the format has such files; gives them as the manifest does."""
    made = []
    for split in ("train", "val"):
        own = [FinishedShard.of(shard) for shard in shards if shard["split"] == split]
        files = output.split_files(layout, split, own) if own else {}
        for number, (path, content) in enumerate(files.items()):
            file = write_beside(state / f"{split}{number}.partial", path, [content])
            give_name(folder, file, on_naming)
            made.append(file.to_json())
    return made


def make_parent(folder: Path, final: Path) -> None:
    """Make the folder of a split. Raises: BadInput if something else bears its name; OSError."""
    if final.parent == folder or (final.parent.is_dir() and not final.parent.is_symlink()):
        return
    if os.path.lexists(final.parent):
        raise not_ours(final.parent)
    safe_files.make_folder(final.parent)
    safe_files.sync_folder(folder)


def read_part(fd: int, start: int, end: int) -> Iterator[bytes]:
    """The bytes from `start` to `end` of a file, a MiB at once, and not kept in the page cache."""
    while start < end:
        data = os.pread(fd, min(MIB, end - start), start)
        if not data:
            raise EOFError(start)
        yield data
        start += len(data)
        os.posix_fadvise(fd, 0, start, os.POSIX_FADV_DONTNEED)
