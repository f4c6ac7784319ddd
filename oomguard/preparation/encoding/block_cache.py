"""Vocabulary blocks kept on disk, so that they are built once for each rank file and shared by all processes.

A block is trusted as if it were part of the program, so it is used only if nobody else could have written it: folder
and file belong to this user, nobody else may write them, neither is reached through a link in their place, and the
block's own sha256 is right. Whatever is wrong with the folder, the block is built in memory: 35 to 200 ms of CPU time
instead of 3 to 20.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import Changed
from oomguard.kernel import safe_files
from oomguard.kernel.plain_files import read_regular
from oomguard.preparation.encoding.native import ABI, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIGEST_BYTES = 32  # of sha256, after the block
_LARGEST = 256 << 20  # bytes; no vocabulary comes near


def open_vocabulary(
    file: Path, *, ranks: Callable[[bytes], bytes] = bytes, sha256: str | None = None, cache: Path | None = None
) -> Vocabulary:
    """Give the block of a tokenizer: mapped from `cache`, or built and, where that can be, left there.

    ranks: makes the text of a rank file of the file's bytes. sha256: what the file must have.
    cache: the folder; None is $XDG_CACHE_HOME/oomguard or ~/.cache/oomguard.
    Raises: ValueError if it is not a rank file; Changed; OSError if it cannot be read; CoreUnavailable.
    """
    data = read_regular(file, _LARGEST)
    digest = hashlib.sha256(data).hexdigest()
    if sha256 not in (None, digest):
        raise Changed("the file of the tokenizer has changed", do="run the same command again")
    folder = cache or default_cache()
    name = f"ranks-{digest}-{ABI}"
    if folder is not None:
        with contextlib.suppress(OSError, ValueError), _trusted_folder(folder) as folder_fd:
            return Vocabulary(_map_checked(folder_fd, name))
    vocabulary = Vocabulary.build(ranks(data))
    keep(name, vocabulary.block, cache=cache)
    return vocabulary


def read_kept(name: str, *, cache: Path | None = None) -> bytes | None:
    """Give what `keep` left under a name; None if there is nothing that can be trusted."""
    folder = cache or default_cache()
    if folder is not None:
        with contextlib.suppress(OSError, ValueError), _trusted_folder(folder) as folder_fd:
            return bytes(_map_checked(folder_fd, name))
    return None


def keep(name: str, data: bytes | mmap.mmap | memoryview, *, cache: Path | None = None) -> None:
    """Leave bytes under a name that says all that they depend on, if that can be."""
    folder = cache or default_cache()
    if folder is not None:
        with contextlib.suppress(OSError):
            is_new = not folder.exists()
            safe_files.make_folder(folder)
            if is_new:
                folder.chmod(0o700)
            with _trusted_folder(folder) as folder_fd:
                _write(folder_fd, name, data)


def default_cache() -> Path | None:
    """The folder by the XDG Base Directory specification, which says to ignore relative paths; None without a home."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if named.startswith("/"):
        return Path(named, "oomguard")
    home = os.environ.get("HOME", "")
    return Path(home, ".cache", "oomguard") if home.startswith("/") else None


@contextlib.contextmanager
def _trusted_folder(folder: Path) -> Iterator[int]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _require_ours(os.fstat(fd))
        yield fd
    finally:
        os.close(fd)


def _require_ours(status: os.stat_result) -> None:
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError("another user may write here")


def _map_checked(folder_fd: int, name: str) -> memoryview:
    """Map what was kept.

    Raises: OSError if it is not there, ValueError if it is damaged.
    """
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        status = os.fstat(fd)
        _require_ours(status)
        if not stat.S_ISREG(status.st_mode) or not _DIGEST_BYTES < status.st_size <= _LARGEST:
            raise ValueError("not a block")
        mapped = mmap.mmap(fd, status.st_size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    finally:
        os.close(fd)
    block = memoryview(mapped)[:-_DIGEST_BYTES]
    if hashlib.sha256(block).digest() != mapped[-_DIGEST_BYTES:]:
        raise ValueError("the block is damaged")
    return block


def _write(folder_fd: int, name: str, data: bytes | mmap.mmap | memoryview) -> None:
    """Write a file beside its place and rename it, so that no process ever sees a part of it."""
    temporary = f".{name}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=folder_fd), "wb") as file:
        try:
            file.write(data)
            file.write(hashlib.sha256(data).digest())
            file.flush()
            os.fsync(file.fileno())
            os.rename(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except OSError:
            os.unlink(temporary, dir_fd=folder_fd)
            raise
