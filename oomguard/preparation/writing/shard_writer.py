"""Tokens into shard files: in order, under a temporary name, hashed, synced, renamed.

One `SplitWriter` for each split. Where a shard ends depends on the number of tokens only, so that a run that was
stopped and goes on, with other piece sizes, writes the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oomguard.errors import Changed
from oomguard.kernel.storage.space import start_writeback
from oomguard.preparation.writing.manifest import disk_error, sync_folder, write_all
from oomguard.preparation.writing.shard_check import file_identity, hash_part, not_ours
from oomguard.preparation.writing.shard_header import SUFFIXES, ShardFormat, shard_header
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Dirty pages count against a cgroup's limit and must not pile up: each of these is handed to the disk at once.
_WRITEBACK_BYTES = 8 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """How shards are named and sized."""

    folder: Path
    state: Path  # for the temporary files, on the same filesystem
    format: ShardFormat
    token_bytes: int
    shard_tokens: int | None  # None: one file a split
    name: str
    first_is_val: bool

    def split_of(self, split: str, index: int) -> str:
        """The split that shard `index` of a stream belongs to."""
        return "val" if self.first_is_val and index == 0 else split

    def file_name(self, split: str, index: int) -> str:
        """The name of a shard's file."""
        suffix = SUFFIXES[self.format]
        return f"{split}{suffix}" if self.shard_tokens is None else f"{self.name}_{split}_{index:06d}{suffix}"


class SplitWriter:
    """Writes one stream of tokens. All its methods may raise OomguardError if the disk refuses."""

    def __init__(
        self,
        plan: ShardPlan,
        split: str,
        *,
        first_index: int,
        on_naming: Callable[[str, str], None],
        on_shard: Callable[[dict[str, Any], list[int]], None],
    ) -> None:
        """`on_naming` hears a shard's name and sha256 before it gets it, `on_shard` all about it afterwards."""
        self._plan = plan
        self._split = split
        self._on_naming = on_naming
        self._on_shard = on_shard
        self._index = first_index
        self._fd = -1
        self._tokens = 0  # in the open shard
        self._written_back = 0
        self._hash = hashlib.sha256()
        self._header = b""
        if plan.shard_tokens is not None:
            self._header = shard_header(plan.format, tokens=plan.shard_tokens, token_bytes=plan.token_bytes)

    def write(self, tokens: memoryview) -> None:
        """Append tokens, given as bytes; a full shard is finished and the next one begun."""
        size = self._plan.token_bytes
        while len(tokens):
            room = len(tokens) if self._plan.shard_tokens is None else (self._plan.shard_tokens - self._tokens) * size
            self._append(tokens[:room])
            tokens = tokens[room:]
            if self._tokens == self._plan.shard_tokens:
                self.finish_shard()

    def _append(self, data: memoryview) -> None:
        if self._fd < 0:
            self._open()
        try:
            write_all(self._fd, data)
            self._hash.update(data)
            self._tokens += len(data) // self._plan.token_bytes
            self._write_back()
        except OSError as error:
            raise disk_error(error, self._temporary) from error

    def _write_back(self) -> None:
        end = self._size
        if end - self._written_back >= _WRITEBACK_BYTES:
            # Waits for the stretch before this one, so at most two are dirty.
            before = max(0, self._written_back - _WRITEBACK_BYTES)
            start_writeback(self._fd, before, self._written_back - before, wait=True)
            os.posix_fadvise(self._fd, 0, self._written_back, os.POSIX_FADV_DONTNEED)
            start_writeback(self._fd, self._written_back, end - self._written_back, wait=False)
            self._written_back = end

    @property
    def _size(self) -> int:
        return len(self._header) + self._tokens * self._plan.token_bytes

    @property
    def _temporary(self) -> Path:
        return self._plan.state / f"{self._split[0]}{self._index:06d}.partial"

    def _final(self, index: int) -> Path:
        return self._plan.folder / self._plan.file_name(self._plan.split_of(self._split, index), index)

    def _open(self) -> None:
        try:
            self._temporary.unlink(missing_ok=True)  # it may be anything, and lead anywhere
            self._fd = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            write_all(self._fd, memoryview(self._header))
            sync_folder(self._plan.state)  # a checkpoint may speak of this file
        except OSError as error:
            raise disk_error(error, self._temporary) from error
        self._tokens = 0
        self._written_back = 0
        self._hash = hashlib.sha256(self._header)

    def finish_shard(self) -> None:
        """Sync the open shard, give it its name and report it; nothing to do if none is open."""
        if self._fd < 0:
            return
        try:
            self._complete_header()
            os.fsync(self._fd)
            final = self._final(self._index)
            if os.path.lexists(final):  # since the run began: then all names were free
                raise not_ours(final)
            self._on_naming(final.name, self._hash.hexdigest())
            self._temporary.rename(final)
            sync_folder(self._plan.folder)
            identity = file_identity(os.fstat(self._fd))
            # What is done with is not kept in the page cache, where it would count against the budget.
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(self._fd)
        except OSError as error:
            raise disk_error(error, self._temporary) from error
        self._fd = -1
        shard = {
            "path": final.name,
            "split": self._plan.split_of(self._split, self._index),
            "tokens": self._tokens,
            "sha256": self._hash.hexdigest(),
        }
        self._index += 1
        self._tokens = 0
        self._on_shard(shard, identity)

    def _complete_header(self) -> None:
        """Write the real count into the header of a shard that is not full."""
        header = shard_header(self._plan.format, tokens=self._tokens, token_bytes=self._plan.token_bytes)
        if header != self._header:
            if os.pwrite(self._fd, header, 0) < len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            end = len(header) + self._tokens * self._plan.token_bytes
            self._hash = hash_part(self._fd, hashlib.sha256(header), len(header), end)

    def sync(self) -> dict[str, Any]:
        """Put all that was written on disk and give the position to go on from."""
        if self._fd >= 0:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                raise disk_error(error, self._temporary) from error
        if self._fd < 0:
            return {"index": self._index, "tokens": 0}
        return {"index": self._index, "tokens": self._tokens, "sha256": self._hash.hexdigest()}

    def resume(self, position: dict[str, Any]) -> None:
        """Go on from a position that `sync` gave.

        Raises: Changed if the file does not hold what it was left with; BadInput if the disk refuses.
        """
        self._index = position["index"]
        try:
            self._reopen(position["tokens"], position.get("sha256"))
        except FileNotFoundError as error:
            raise Changed(f"{self._temporary} is gone, so the run cannot go on", do="--restart begins anew") from error
        except OSError as error:
            raise disk_error(error, self._temporary) from error

    def _reopen(self, tokens: int, sha256: str | None) -> None:
        final = self._final(self._index)
        if tokens:
            self._take_back(
                final if not self._temporary.exists() and final.exists() else self._temporary, tokens, sha256
            )
        # Later shards are begun anew.
        for later in self._plan.state.glob(f"{self._split[0]}*.partial"):
            if later != self._temporary or not tokens:
                later.unlink()

    def _take_back(self, file: Path, tokens: int, sha256: str | None) -> None:
        """Open the shard that was not full, which may have got its name after the checkpoint."""
        self._fd = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        self._tokens = tokens
        if os.fstat(self._fd).st_size < self._size:
            raise Changed(f"{file} is shorter than the run left it", do="--restart begins anew")
        self._hash = hash_part(self._fd, hashlib.sha256(self._header), len(self._header), self._size)
        if self._hash.hexdigest() != sha256:
            raise Changed(f"{file} holds other bytes than the run left there", do="--restart begins anew")
        if file != self._temporary:
            file.rename(self._temporary)
        os.ftruncate(self._fd, self._size)
        if os.pwrite(self._fd, self._header, 0) < len(self._header):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.lseek(self._fd, 0, os.SEEK_END)
        self._written_back = self._size

    def close(self) -> None:
        """Close an open shard as it is; harmless after `finish_shard`."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
