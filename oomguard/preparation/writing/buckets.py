"""Documents in buckets on disk, by the first bits of a keyed hash of their numbers: the first half of a shuffle.

A document's place among all is the rank of BLAKE2b (16 bytes, key: the seed, data: its number in the input; both
uint64, little-endian), its bytes compared from the first one on. A bucket has the documents whose hashes begin with the
same bits, as they came: their tokens in one file, and in another a key for each, its hash and its number of tokens. So
a bucket after the other, each put in order in memory, is the whole in order.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oomguard.errors import Changed
from oomguard.kernel import safe_files
from oomguard.kernel.storage import start_writeback
from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.datatrove import Datatrove
from oomguard.preparation.writing.manifest import disk_error, write_all
from oomguard.preparation.writing.shard_writer import ShardPlan
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

KEY_BYTES = 24  # of a document: its hash, and its tokens as uint64
_PENDING = 4 * MIB  # taken before buckets are written: a stretch of them for each
_DIRECT = MIB // 4  # a longer document is not gathered with others
_HASH_BYTES = 16
_LAST = b"\xff" * _HASH_BYTES
_COUNT = struct.Struct("<Q")
_WRITE = os.O_WRONLY | os.O_APPEND


def place_of(seed: int) -> Callable[[int], bytes]:
    """Give the function from a document's number to what its place is the rank of."""
    keyed, pack = hashlib.blake2b(key=_COUNT.pack(seed), digest_size=_HASH_BYTES), _COUNT.pack

    def place(number: int) -> bytes:
        one = keyed.copy()
        one.update(pack(number))
        return one.digest()

    return place


@dataclass(slots=True)
class Extent:
    """A file that only grows: as much of it as was written, with its checksum."""

    path: Path
    size: int = 0
    crc: int = 0
    is_new: bool = True  # not made yet by this run
    is_dirty: bool = False

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Write behind what is there. Raises: OomguardError if the disk refuses."""
        try:
            if self.is_new:
                safe_files.unlink(self.path)  # it may be anything, and lead anywhere
                os.close(safe_files.create(self.path))
            self.is_new = False
            fd = safe_files.open_there(self.path, _WRITE)
            try:
                write_all(fd, memoryview(data))
                # Waits for the stretch before this one, so that little is dirty, and keeps none in the page cache.
                start_writeback(fd, max(0, self.size - _PENDING), min(self.size, _PENDING), wait=True)
                os.posix_fadvise(fd, 0, self.size, os.POSIX_FADV_DONTNEED)
                start_writeback(fd, self.size, len(data), wait=False)
            finally:
                os.close(fd)
        except OSError as error:
            raise disk_error(error, self.path) from error
        self.crc = zlib.crc32(data, self.crc)
        self.size += len(data)
        self.is_dirty = True

    def sync(self) -> None:
        """Put it on disk. Raises: OomguardError if the disk refuses."""
        if not self.is_dirty:
            return
        try:
            fd = safe_files.open_there(self.path, _WRITE)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise disk_error(error, self.path) from error
        self.is_dirty = False

    def require_as_left(self, *, cut: bool = False) -> None:
        """It holds what was written; with `cut`, what is behind that goes. Raises: Changed; OomguardError."""
        if not self.size:
            return
        crc = done = 0
        try:
            fd = safe_files.open_there(self.path)
            try:
                while done < self.size and (data := os.pread(fd, min(MIB, self.size - done), done)):
                    crc, done = zlib.crc32(data, crc), done + len(data)
                if cut:
                    os.ftruncate(fd, self.size)
            finally:
                os.close(fd)
        except FileNotFoundError as error:
            raise Changed(f"{self.path} is gone, so the run cannot resume", do="--restart starts over") from error
        except OSError as error:
            raise disk_error(error, self.path) from error
        if (done, crc) != (self.size, self.crc):
            raise Changed(f"{self.path} does not hold what the run left there", do="--restart starts over")
        self.is_new = False


@dataclass(slots=True)
class Bucket:
    """Documents whose hashes begin with the same bits."""

    tokens: Extent
    keys: Extent

    @property
    def documents(self) -> int:
        """How many it has."""
        return self.keys.size // KEY_BYTES

    def state(self) -> list[int]:
        """What tells it from any other."""
        return [self.tokens.size, self.tokens.crc, self.keys.size, self.keys.crc]

    def remove(self) -> None:
        """Take its files away. Raises: OomguardError if the disk refuses."""
        for extent in (self.tokens, self.keys):
            try:
                safe_files.unlink(extent.path)
            except OSError as error:
                raise disk_error(error, extent.path) from error


def buckets_in(folder: Path, part: str, states: Sequence[Sequence[int]]) -> list[Bucket]:
    """The buckets of a part of the documents, as `Bucket.state` told of each."""
    buckets = []
    for number, (size, crc, keys_size, keys_crc) in enumerate(states):
        name = f"{part}{number:03d}"
        keys = Extent(folder / f"{name}.keys", keys_size, keys_crc)
        buckets.append(Bucket(Extent(folder / f"{name}.tokens", size, crc), keys))
    return buckets


def spool_plan(folder: Path, state: Path, token_bytes: int) -> ShardPlan:
    """What the sink that takes documents into buckets needs to know of shards."""
    layout = Layout(name="", token_bytes=token_bytes)
    documents = Datatrove()  # which have ends
    return ShardPlan(folder=folder, state=state, format=documents, layout=layout, first_is_val=False)


def new_states(bits: int) -> list[list[int]]:
    """Of buckets in which nothing is."""
    return [[0, 0, 0, 0] for _ in range(1 << bits)]


class BucketWriter:
    """Takes documents in the order of the input. A Writer for TokenSink; all methods may raise OomguardError.

    Parts are kept apart: what is to stand first, where the first tokens of all are for validation ("a"; all documents
    that begin there), and the others ("b").
    """

    def __init__(
        self, folder: Path, split: str, *, seed: int, token_bytes: int, bits: int, first_tokens: int = 0
    ) -> None:
        """`first_tokens`: so many are for validation, with the order of whole documents among themselves."""
        self._folder = folder
        self._prefix = split[0]
        self._place = place_of(seed)
        self._token_bytes = token_bytes
        self._first_tokens = first_tokens
        self._parts: dict[str, list[Bucket]] = {}
        self._set_up({"a": new_states(0) if first_tokens else [], "b": new_states(bits)})
        self._tokens = 0  # of all documents
        self._open: tuple[str, int, bytes, int] | None = None  # part, bucket, hash and tokens of one without an end
        self._waiting: dict[tuple[str, int], tuple[bytearray, bytearray]] = {}
        self._pending = 0

    def _set_up(self, states: dict[str, list[list[int]]]) -> None:
        self._parts = {part: buckets_in(self._folder, self._prefix + part, some) for part, some in states.items()}
        self._shift = 8 * _HASH_BYTES - (len(self._parts["b"]).bit_length() - 1)

    def write(self, tokens: memoryview, ends: Sequence[int] = (), number: int = 0) -> None:
        """Take the next tokens; document `number` of the input has the first of them."""
        start, width = 0, self._token_bytes
        for end in ends:
            self._add(tokens[start * width : end * width], number, is_end=True)
            start, number = end, number + 1
        if start * width < len(tokens):
            self._add(tokens[start * width :], number, is_end=False)

    def _add(self, data: memoryview, number: int, *, is_end: bool) -> None:
        if self._open is None:
            place = self._place(number)
            if self._tokens < self._first_tokens:
                part, at, count = "a", 0, 0
            else:
                part, at, count = "b", int.from_bytes(place, "big") >> self._shift, 0
        else:
            part, at, place, count = self._open
        waiting = self._waiting.get((part, at))
        if waiting is None:
            waiting = self._waiting[part, at] = bytearray(), bytearray()
        if len(data) > _DIRECT:
            self._flush_one(part, at)
            self._parts[part][at].tokens.append(data)
        else:
            waiting[0].extend(data)
            self._pending += len(data)
        added = len(data) // self._token_bytes
        self._tokens += added
        count += added
        if not is_end:
            self._open = part, at, place, count
            return
        self._open = None
        if part == "a" and self._tokens >= self._first_tokens:
            place = _LAST  # where the shard ends, this one continues in the next
        waiting[1].extend(place + _COUNT.pack(count))
        self._pending += KEY_BYTES
        if self._pending >= _PENDING:
            self._flush()

    def _flush_one(self, part: str, at: int) -> None:
        bucket = self._parts[part][at]
        for gathered, extent in zip(self._waiting[part, at], (bucket.tokens, bucket.keys), strict=True):
            if gathered:
                extent.append(gathered)
                self._pending -= len(gathered)
                gathered.clear()

    def _flush(self) -> None:
        for part, at in self._waiting:
            self._flush_one(part, at)
        self._waiting.clear()

    def _buckets(self) -> Iterator[Bucket]:
        return (bucket for some in self._parts.values() for bucket in some)

    def sync(self) -> dict[str, Any]:
        """Put all that was taken on disk; gives what `resume` needs."""
        self._flush()
        for bucket in self._buckets():
            bucket.tokens.sync()
            bucket.keys.sync()
        try:
            safe_files.sync_folder(self._folder)
        except OSError as error:
            raise disk_error(error, self._folder) from error
        opened = None
        if self._open is not None:
            part, at, place, count = self._open
            opened = [part, at, place.hex(), count]
        states = {part: [bucket.state() for bucket in some] for part, some in self._parts.items()}
        return {"tokens": self._tokens, "buckets": states, "document": opened}

    def resume(self, position: dict[str, Any]) -> None:
        """Go on from a position that `sync` gave, with as many buckets as there are."""
        self._set_up(position["buckets"])
        self._tokens = position["tokens"]
        if position["document"] is not None:
            part, at, place, count = position["document"]
            self._open = part, at, bytes.fromhex(place), count
        for bucket in self._buckets():
            bucket.tokens.require_as_left(cut=True)
            bucket.keys.require_as_left(cut=True)

    def finish(self) -> None:
        """Nothing comes any more: a document that the text did not end has its end here."""
        if self._open is not None:
            self._add(memoryview(b""), 0, is_end=True)

    def restore(self, position: dict[str, Any], stored: Sequence[Any]) -> None:
        """Nothing is added to a finished shuffle."""
        raise NotImplementedError

    def forget_parts(self) -> None:
        """All that is there is needed."""

    def close(self) -> None:
        """No file stays open."""
