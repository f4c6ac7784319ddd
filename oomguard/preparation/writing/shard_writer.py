"""Tokens into shard files: in order, under a temporary name, hashed, synced, renamed.

One `SplitWriter` for each split. Where a shard ends depends on the number of tokens only, so that a run that was
stopped and resumes, with other piece sizes, writes the same bytes.
"""

# ruff: noqa: SLF001 - the shard before the open one is a writer of the same class
from __future__ import annotations

import copy
import errno
import hashlib
import os
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from oomguard.errors import Changed
from oomguard.kernel import safe_files
from oomguard.preparation.writing.beside_files import BesideFile, give_name, write_beside
from oomguard.preparation.writing.document_ends import DocumentEnds, FullShard
from oomguard.preparation.writing.manifest import disk_error, write_all
from oomguard.preparation.writing.side_thread import (
    FLUSHED_BYTES,
    HashThread,
    SideThread,
    flush_stretch,
    hash_part,
)
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import Layout, OutputFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """How shards are named and sized."""

    folder: Path
    state: Path  # for the temporary files, on the same filesystem
    format: OutputFormat
    layout: Layout
    first_is_val: bool

    def split_of(self, split: str, index: int) -> str:
        """The split that shard `index` of a stream belongs to."""
        return "val" if self.first_is_val and index == 0 else split

    def file_name(self, split: str, index: int) -> str:
        """The name of a shard's file, in the output folder."""
        return self.format.file_name(self.layout, self.split_of(split, index), index)

    def header(self, tokens: int | None) -> bytes:
        """What stands before the tokens; with None, before it is known how many there will be."""
        if self.format.is_built:
            return b""
        return self.format.header(self.layout, (self.layout.shard_tokens or 0) if tokens is None else tokens)

    @property
    def with_documents(self) -> bool:
        """Whether shards end with documents, and where these end is written down."""
        return self.format.writes_documents(self.layout)


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
        self._ends: DocumentEnds | None = None  # of the open shard
        self._built_from: list[Path] = []  # what shards were built from since the last checkpoint
        self._tokens = 0  # in the open shard
        self._written_back = 0
        self._hash = HashThread(hashlib.sha256())
        self._flush = SideThread("oomguard-flush")
        self._token_bytes = plan.layout.token_bytes
        self._header = plan.header(None)
        self._held: SplitWriter | None = None  # a full shard before the open one, which may have to join it

    def write(self, tokens: memoryview, ends: Sequence[int] = (), number: int = 0) -> None:  # noqa: ARG002 - as Writer
        """Append tokens, given as bytes; a full shard is finished and the next one begun.

        `ends`: where documents end, in tokens from the first of these; not needed where nothing depends on them.
        """
        if self._plan.with_documents:
            self._write_documents(tokens, ends)
            return
        full = self._plan.layout.shard_tokens
        while len(tokens):
            room = len(tokens) if full is None else (full - self._tokens) * self._token_bytes
            self._append(tokens[:room])
            tokens = tokens[room:]
            if self._tokens == full:
                self._end_shard()

    def _write_documents(self, tokens: memoryview, ends: Sequence[int]) -> None:
        """Append tokens; a shard is full at the first document that ends where it has its tokens, or more."""
        full, done, number = self._plan.layout.shard_tokens, 0, 0
        while full is not None and (at := bisect_left(ends, done + full - self._tokens, lo=number)) < len(ends):
            self._append_documents(tokens, done, ends[at], ends[number : at + 1])
            done, number = ends[at], at + 1
            self._end_shard()
        self._append_documents(tokens, done, len(tokens) // self._token_bytes, ends[number:])

    def _append_documents(self, tokens: memoryview, start: int, stop: int, ends: Sequence[int]) -> None:
        if start == stop and not len(ends):
            return
        after = self._tokens - start
        self._append(tokens[start * self._token_bytes : stop * self._token_bytes])
        assert self._ends is not None
        self._ends.append_ends(ends, after=after)

    def _append(self, data: memoryview) -> None:
        if self._fd < 0:
            self._open()
        self._hash.begin(data)
        try:
            write_all(self._fd, data)
            self._tokens += len(data) // self._token_bytes
            self._write_back()
        except OSError as error:
            raise disk_error(error, self._temporary) from error
        finally:
            self._hash.wait()

    def _write_back(self) -> None:
        end = self._size
        if end - self._written_back >= FLUSHED_BYTES:
            self._flush.wait()  # so at most three stretches are dirty
            self._flush.begin(flush_stretch, self._fd, self._written_back, end)
            self._written_back = end

    @property
    def _size(self) -> int:
        return len(self._header) + self._tokens * self._token_bytes

    @property
    def _temporary(self) -> Path:
        return self._plan.state / f"{self._split[0]}{self._index:06d}.partial"

    def _beside(self, what: str) -> Path:
        return self._temporary.with_suffix(f".{what}.partial")

    def _open(self) -> None:
        try:
            safe_files.unlink(self._temporary)  # it may be anything, and lead anywhere
            self._fd = safe_files.create(self._temporary)
            write_all(self._fd, memoryview(self._header))
            safe_files.sync_folder(self._plan.state)  # a checkpoint may speak of this file
        except OSError as error:
            raise disk_error(error, self._temporary) from error
        self._tokens = 0
        self._written_back = 0
        self._hash.digest = hashlib.sha256(self._header)
        if self._plan.with_documents:
            self._ends = DocumentEnds(self._beside("ends"))
            self._ends.begin()

    def _end_shard(self) -> None:
        """The open shard is full; with `fold_last` it gets its name once it is known that nothing joins it."""
        if not self._plan.layout.fold_last:
            self.finish_shard()
            return
        self._finish_held()
        self._held = self._apart()
        self._fd, self._ends, self._tokens, self._written_back = -1, None, 0, 0
        self._index += 1

    def _apart(self) -> SplitWriter:
        """A writer of what is open here, with a digest of its own."""
        self._flush.wait()
        apart = copy.copy(self)
        apart._hash, apart._flush = HashThread(self._hash.digest), SideThread("oomguard-flush")
        return apart

    def _finish_held(self) -> None:
        if self._held is not None:
            self._held.finish_shard()
            self._held.close()
        self._held = None

    def finish(self) -> None:
        """Finish what is open: the last shard, which joins the one before it where that was asked for."""
        held = self._held
        if held is not None and self._fd >= 0 and self._may_join(held):
            full, after = self._full_shard(), held._tokens
            for data in full.data(0, full.tokens):
                held._append(memoryview(data))
            if held._ends is not None:
                for ends in full.ends():
                    held._ends.append_ends(ends, after=after)
            self._drop()  # its number is the next shard's again
        self._finish_held()
        self.finish_shard()

    def _may_join(self, held: SplitWriter) -> bool:
        """Of one split, and not more than a shard of the format may hold."""
        plan = self._plan
        same = plan.split_of(self._split, held._index) == plan.split_of(self._split, self._index)
        return same and held._tokens + self._tokens <= plan.format.most_tokens(self._token_bytes)

    def _drop(self) -> None:
        """The open shard is in another one; its file goes with the next checkpoint."""
        self._built_from.append(self._temporary)
        self._forget()

    def finish_shard(self) -> None:
        """Sync the open shard, name it and what stands beside it, and report it; nothing to do if none is open."""
        if self._fd < 0:
            return
        name = self._plan.file_name(self._split, self._index)
        output, layout, full = self._plan.format, self._plan.layout, self._full_shard()
        beside = [
            write_beside(self._beside(f"index{number}"), path, content)
            for number, (path, content) in enumerate(output.index_files(layout, full))
        ]
        if output.is_built:
            data = write_beside(self._beside("built"), name, output.content(layout, full))
            self._built_from.append(self._temporary)
        else:
            data = self._complete(name)
        for file in beside:
            give_name(self._plan.folder, file, self._on_naming)
        identity = give_name(self._plan.folder, data, self._on_naming)
        shard = {
            "path": name,
            "split": self._plan.split_of(self._split, self._index),
            "tokens": self._tokens,
            "sha256": data.sha256,
        }
        if beside or output.is_built:
            shard |= {"bytes": data.size}
        if beside:
            shard |= {"index": [file.to_json() for file in beside]}
        if self._ends is not None:
            shard |= {"documents": self._ends.count}
        self._forget()
        self._index += 1
        self._on_shard(shard, identity)

    def _complete(self, name: str) -> BesideFile:
        """The open shard as a file that only lacks its name."""
        try:
            self._flush.wait()
            self._complete_header()
            os.fsync(self._fd)
            # What is done with is not kept in the page cache, where it would count against the budget.
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise disk_error(error, self._temporary) from error
        return BesideFile(path=name, temporary=self._temporary, size=self._size, sha256=self._hash.hexdigest())

    def _full_shard(self) -> FullShard:
        """What a format sees of the open shard; every document has an end, also one that the text did not end."""
        if self._ends is not None and self._ends.last < self._tokens:
            self._ends.append_ends([self._tokens], after=0)
        return FullShard(
            fd=self._fd,
            start=len(self._header),
            token_bytes=self._token_bytes,
            split=self._plan.split_of(self._split, self._index),
            index=self._index,
            tokens=self._tokens,
            document_ends=self._ends,
        )

    def _forget(self) -> None:
        """The shard is no longer open. What it was built from stays until a checkpoint needs it no more."""
        self._flush.close()
        os.close(self._fd)
        self._fd = -1
        self._tokens = 0
        if self._ends is not None:
            self._ends.close()
            self._built_from.append(self._beside("ends"))
        self._ends = None

    def forget_parts(self) -> None:
        """A checkpoint behind the finished shards is on disk: what they were made from goes."""
        try:
            for part in self._built_from:
                safe_files.unlink(part)
        except OSError as error:
            raise disk_error(error, part) from error
        self._built_from.clear()

    def _complete_header(self) -> None:
        """Write the real count into the header of a shard that is not full."""
        header = self._plan.header(self._tokens)
        if header != self._header:
            if os.pwrite(self._fd, header, 0) < len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            end = len(header) + self._tokens * self._token_bytes
            self._hash.digest = hash_part(self._fd, hashlib.sha256(header), len(header), end)

    def sync(self) -> dict[str, Any]:
        """Put all that was written on disk and give the position to continue from."""
        if self._fd >= 0:
            try:
                self._flush.wait()
                os.fdatasync(self._fd)
            except OSError as error:
                raise disk_error(error, self._temporary) from error
        held = {"held": self._held.sync()} if self._held is not None else {}
        if self._fd < 0:
            return {"index": self._index, "tokens": 0, **held}
        ends = {} if self._ends is None else {"documents": self._ends.count, "ends_crc32": self._ends.sync()[1]}
        return {"index": self._index, "tokens": self._tokens, "sha256": self._hash.hexdigest(), **ends, **held}

    def resume(self, position: dict[str, Any]) -> None:
        """Go on from a position that `sync` gave.

        Raises: Changed if the file does not hold what it was left with; BadInput if the disk refuses.
        """
        self._index = position["index"]
        try:
            keep = self._reopen(position)
            if (before := position.get("held")) is not None:
                self._held = self._apart()
                self._held._index, self._held._fd, self._held._ends = before["index"], -1, None
                keep |= self._held._reopen(before)
            # Later shards are begun anew.
            for later in self._plan.state.glob(f"{self._split[0]}*.partial"):
                if later not in keep:
                    safe_files.unlink(later)
        except FileNotFoundError as error:
            raise Changed(f"{self._temporary} is gone, so the run cannot resume", do="--restart starts over") from error
        except OSError as error:
            raise disk_error(error, self._temporary) from error

    def restore(self, position: dict[str, Any], stored: Sequence[Any]) -> None:
        """Make the open shard of a position again from the file that was finished behind it, for `resume`.

        `stored`: the finished shards, each a StoredShard.

        A format whose files are the stored tokens has nothing to make: its file is continued under the other name.
        """
        if not (self._plan.format.is_built or self._plan.with_documents):
            return
        self._index = position["index"]
        path = self._plan.folder / self._plan.file_name(self._split, self._index)
        shard = next((shard for shard in stored if shard.path == path), None)
        if shard is None:
            raise Changed(f"{path} is not there, so nothing can be added to it", do="--restart starts over")
        self._open()
        for tokens, ends in shard.pieces():
            after = self._tokens
            self._append(memoryview(tokens.tobytes()))
            if self._ends is not None:
                self._ends.append_ends(ends.tolist(), after=after)
        self.sync()
        self.close()
        self._fd, self._ends = -1, None

    def _reopen(self, position: dict[str, Any]) -> set[Path]:
        """Open what was open; gives the files that are needed for it."""
        final = self._plan.folder / self._plan.file_name(self._split, self._index)
        if not (position["tokens"] or position.get("documents")):
            return set()
        has_name = not self._temporary.exists() and final.exists()
        self._take_back(final if has_name else self._temporary, position["tokens"], position.get("sha256"))
        if self._plan.with_documents:
            self._ends = DocumentEnds(self._beside("ends"))
            self._ends.resume_ends(position["documents"], position["ends_crc32"])
        return {self._temporary, self._beside("ends")}

    def _take_back(self, file: Path, tokens: int, sha256: str | None) -> None:
        """Open the shard that was not full, which may have got its name after the checkpoint."""
        self._fd = safe_files.open_there(file)
        self._tokens = tokens
        if os.fstat(self._fd).st_size < self._size:
            raise Changed(f"{file} is shorter than when the run left it", do="--restart starts over")
        self._hash.digest = hash_part(self._fd, hashlib.sha256(self._header), len(self._header), self._size)
        if self._hash.hexdigest() != sha256:
            raise Changed(f"{file} does not hold what the run left there", do="--restart starts over")
        if file != self._temporary:
            safe_files.rename(file, self._temporary)
        os.ftruncate(self._fd, self._size)
        if os.pwrite(self._fd, self._header, 0) < len(self._header):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.lseek(self._fd, 0, os.SEEK_END)
        self._written_back = self._size

    def close(self) -> None:
        """Close an open shard as it is; harmless after `finish_shard`."""
        self._hash.close()
        self._flush.close()
        if self._held is not None:
            self._held.close()
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        if self._ends is not None:
            self._ends.close()
