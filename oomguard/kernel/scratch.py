"""A folder of one run's own beside files that are kept: it goes with the run, or with the next one that comes by.

Where everyone may write, another user can put any folder in its place, a finished one of root's too. So it is written
to and emptied by its descriptor, and one that an earlier run left is known by a mark inside, where only its owner can
write.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel import safe_files

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = ".oomguard-scratch"
_INNER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[tuple[Path, Path]]:
    """A new folder in `parent`, locked as long as it is used; and the same by its descriptor, for what is written.

    What an earlier run left that was killed is removed first. Raises: OSError; NotOurs.
    """
    above = safe_files.open_folder(parent)
    try:
        _clean(above, prefix)
        name = f"{prefix}{secrets.token_hex(8)}"
        os.mkdir(name, 0o700, dir_fd=above)
        lock = os.open(name, _INNER, dir_fd=above)
        try:
            if not _is_private(lock) or os.listdir(lock):  # noqa: PTH208 - by its descriptor
                raise FileExistsError(f"{name} was put in the place of a new folder")  # which is not emptied, then
            fcntl.flock(lock, fcntl.LOCK_EX)  # before the mark, by which another run would take it for a left one
            try:
                os.close(os.open(_MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=lock))
                yield parent / name, Path(f"/proc/self/fd/{lock}")
            finally:
                _remove(above, name, lock)
        finally:
            os.close(lock)
    finally:
        os.close(above)


def _is_private(folder: int) -> bool:
    status = os.fstat(folder)
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _clean(above: int, prefix: str) -> None:
    """Remove what a killed run left: nobody holds its lock any more."""
    for name in os.listdir(above):
        if not name.startswith(prefix):
            continue
        with suppress(OSError):  # not a folder, or another run is at work in it
            lock = os.open(name, _INNER, dir_fd=above)
            try:
                if _is_private(lock) and _MARK in os.listdir(lock):  # noqa: PTH208
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(above, name, lock)
            finally:
                os.close(lock)


def _remove(above: int, name: str, folder: int) -> None:
    """Empty it, and take its name away, if it still has that. What cannot be emptied keeps its mark for the next."""
    with suppress(OSError):
        for inner in set(os.listdir(folder)) - {_MARK}:
            try:
                os.unlink(inner, dir_fd=folder)
            except OSError:  # a folder
                shutil.rmtree(inner, ignore_errors=True, dir_fd=folder)
        if not set(os.listdir(folder)) - {_MARK}:
            with suppress(FileNotFoundError):  # it was not made yet
                os.unlink(_MARK, dir_fd=folder)
            os.rmdir(name, dir_fd=above)  # only an empty one goes
