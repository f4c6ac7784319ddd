"""A part: the tokens and document ends of one unit, in one file that appears whole or not at all.

Layout: tokens (uint16 or uint32, as the tokenizer has them), document ends (uint64, in tokens from the begin of their
segment), the sha256 of each MiB of these, a JSON footer, its length (uint64), the sha256 of sums and footer, the magic.
All numbers are little-endian. So any stretch can be read, and is checked, without the rest. A segment is what one
split takes of the unit; most units are one segment, whose documents' numbers decide.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shlex
import struct
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.kernel import safe_files
from oomguard.preparation.writing.beside_files import read_part
from oomguard.preparation.writing.formats.stored import OrderedEnds
from oomguard.preparation.writing.manifest import disk_error, write_all
from oomguard.preparation.writing.read_parts import ReadParts
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from oomguard.preparation.writing.token_sink import Split

_MAGIC = b"OOMPART2"
_TAIL = struct.Struct("<Q32s8s")
_BLOCK = 1 << 20  # of which a sum is kept
_SUM_BYTES = 32
_LONGEST_FOOTER = 1 << 20
_STEP = 1 << 20  # bytes of tokens read at once
_STRETCH = 1 << 16  # document ends read at once
_END_BYTES = 8


@dataclass(slots=True, kw_only=True)
class Segment:
    """What one split takes of a unit; None: the documents' numbers decide."""

    split: Split | None
    tokens: int = 0
    ends: int = 0  # that are stored
    count: Totals


class _BlockSums:
    """The sha256 of each block of a file that is written in order."""

    def __init__(self) -> None:
        self._sums = bytearray()
        self._digest, self._held = hashlib.sha256(), 0

    def update(self, data: memoryview) -> None:
        """Take the next bytes."""
        while len(data):
            now = data[: _BLOCK - self._held]
            self._digest.update(now)
            self._held += len(now)
            data = data[len(now) :]
            if self._held == _BLOCK:
                self._end()

    def _end(self) -> None:
        self._sums += self._digest.digest()
        self._digest, self._held = hashlib.sha256(), 0

    def all(self) -> bytes:
        """Give them one after the other, that of a last block too; nothing comes any more."""
        if self._held:
            self._end()
        return bytes(self._sums)


class PartWriter:
    """Where the pipeline puts the pieces of a unit."""

    def __init__(self, path: Path, *, job: str, unit: int, token_bytes: int) -> None:
        """Write to a temporary file beside `path`. Raises: BadInput if the disk refuses."""
        self.totals = Totals()
        self.position: dict[str, Any] = {}
        self._path = path
        self._about = {"job": job, "unit": unit, "token_bytes": token_bytes}
        self._token_bytes = token_bytes
        self._segments: list[Segment] = []
        self._read = ReadParts()
        self._sums = _BlockSums()
        stem = f".{path.stem}.{secrets.token_hex(8)}"
        self._tokens_at, self._ends_at = path.with_name(f"{stem}.tokens"), path.with_name(f"{stem}.ends")
        try:
            self._tokens, self._ends = safe_files.create(self._tokens_at), safe_files.create(self._ends_at)
        except OSError as error:
            raise disk_error(error, path) from error

    def take(self, piece: EncodedPiece) -> None:
        """Append a piece. Raises: BadInput if the disk refuses."""
        import numpy as np

        if not self._segments or self._segments[-1].split != piece.split:
            self._segments.append(Segment(split=piece.split, count=Totals()))
        segment = self._segments[-1]
        ends = np.asarray(piece.ends if piece.ends is not None else (), np.int64) + segment.tokens
        try:
            write_all(self._tokens, memoryview(piece.tokens))
            write_all(self._ends, memoryview(ends.astype("<u8").tobytes()))
        except OSError as error:
            raise disk_error(error, self._tokens_at) from error
        self._sums.update(memoryview(piece.tokens).cast("B"))
        segment.tokens += len(piece.tokens) // self._token_bytes
        segment.ends += len(ends)
        segment.count = segment.count.plus(piece.count)
        self.totals = self.totals.plus(piece.count)
        self.position = piece.position
        for source, start, end, crc in piece.read:
            if crc is not None:  # of what only the reader reads there is none: a whole file
                self._read.note(source, start, end, crc)

    def commit(self) -> bool:
        """Give the part its name, once it is on disk; False: another worker did so before, with the same tokens.

        Raises: BadInput if the disk refuses.
        """
        try:
            for data in read_part(self._ends, 0, os.fstat(self._ends).st_size):
                write_all(self._tokens, memoryview(data))
                self._sums.update(memoryview(data))
            segments, read = [asdict(each) for each in self._segments], [part[1:] for part in self._read.take()]
            footer = json.dumps({**self._about, "segments": segments, "read": read}).encode()
            behind = self._sums.all() + footer
            tail = _TAIL.pack(len(footer), hashlib.sha256(behind).digest(), _MAGIC)
            write_all(self._tokens, memoryview(behind + tail))
            os.fsync(self._tokens)
            first = _give_name(self._tokens_at, self._path)
            safe_files.sync_folder(self._path.parent)
        except OSError as error:
            raise disk_error(error, self._path) from error
        return first

    def close(self) -> None:
        """Close and remove what is temporary; harmless after `commit`."""
        for fd, path in ((self._tokens, self._tokens_at), (self._ends, self._ends_at)):
            if fd >= 0:
                os.close(fd)
            safe_files.unlink(path)
        self._tokens = self._ends = -1


def _give_name(temporary: Path, final: Path) -> bool:
    """A name that is taken stays: a link is refused there, where a rename would replace."""
    try:
        safe_files.link(temporary, final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        safe_files.rename(temporary, final)  # a file system without links; two such files are the same bytes
    return True


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something begins in a part: how much of it comes before."""

    segment: int = 0
    token: int = 0  # of the segment
    end: int = 0  # documents of the segment that have ended


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """A part that is done. What is read of it is checked before it is given."""

    path: Path
    token_bytes: int
    segments: tuple[Segment, ...]
    read: tuple[tuple[int, int, int], ...]  # of the source: start, end, CRC-32
    sums: bytes = field(repr=False)

    def pieces(self, unit: int, start: Place = Place(), stop: Place | None = None) -> Iterator[EncodedPiece]:
        """Its pieces of up to a MiB, from a place to another or the end; each carries where to continue after it.

        Raises: BadInput if it is damaged.
        """
        tokens_at, ends_at = 0, sum(each.tokens for each in self.segments) * self.token_bytes
        with self.path.open("rb") as file:
            tokens, ends = _Checked(self, file.fileno()), _Checked(self, file.fileno())
            for number, each in enumerate(self.segments):
                if start.segment <= number and (stop is None or Place(number) < stop):
                    begin = start if number == start.segment else Place(number)
                    end = stop if stop is not None and number == stop.segment else None
                    sections = (tokens, tokens_at), (ends, ends_at)
                    yield from self._pieces_of(each, sections, unit=unit, start=begin, stop=end)
                tokens_at += each.tokens * self.token_bytes
                ends_at += each.ends * _END_BYTES

    def _pieces_of(
        self,
        segment: Segment,
        sections: tuple[tuple[_Checked, int], tuple[_Checked, int]],
        *,
        unit: int,
        start: Place,
        stop: Place | None,
    ) -> Iterator[EncodedPiece]:
        import numpy as np

        (file, tokens_at), (ends_file, ends_at) = sections
        width, step = self.token_bytes, _STEP // self.token_bytes
        last = stop or Place(start.segment, segment.tokens, segment.ends)
        ends = OrderedEnds(_stretches(ends_file, ends_at, start.end, last.end))
        token, done = start.token, start.end
        while True:
            until = min(token + step, last.token)
            is_last = until == last.token
            own = ends.up_to(until) - token
            data = file.read(tokens_at + token * width, (until - token) * width)
            count = Totals(tokens=until - token, documents=len(own))
            after = Place(start.segment, until, done + len(own))
            if is_last and stop is None:  # what cannot be divided among pieces
                count = _rest(segment.count, tokens=token, documents=done)
                after = Place(start.segment + 1)
            yield EncodedPiece(
                tokens=memoryview(data),
                ends=memoryview(np.ascontiguousarray(own, np.int64).tobytes()).cast("q"),
                split=segment.split,
                count=count,
                position={"unit": unit, **asdict(after)},
            )
            if is_last:
                return
            token, done = until, done + len(own)

    def ends(self, segment: int) -> Iterator[Any]:
        """Where documents of a segment end, in stretches: int64, in tokens from its begin. Raises: BadInput."""
        before = sum(each.ends for each in self.segments[:segment]) * _END_BYTES
        ends_at = sum(each.tokens for each in self.segments) * self.token_bytes + before
        with self.path.open("rb") as file:
            yield from _stretches(_Checked(self, file.fileno()), ends_at, 0, self.segments[segment].ends)

    def check(self) -> None:
        """Read all of it. Raises: BadInput if it is damaged."""
        with self.path.open("rb") as file:
            checked = _Checked(self, file.fileno())
            for block in range(-(-self._body // _BLOCK)):
                checked.read(block * _BLOCK, min(_BLOCK, self._body - block * _BLOCK))

    @property
    def _body(self) -> int:
        return _body_bytes(self.segments, self.token_bytes)


class _Checked:
    """Reads the blocks of a part; each is compared with its sum."""

    def __init__(self, part: StoredPart, fd: int) -> None:
        self._part, self._fd = part, fd
        self._body = _body_bytes(part.segments, part.token_bytes)
        self._number, self._block = -1, b""  # the one that was read last: the next stretch begins there

    def read(self, start: int, size: int) -> bytes:
        """Raises: BadInput."""
        found = []
        while size:
            number, skip = divmod(start, _BLOCK)
            found.append(self._of(number)[skip : skip + size])
            start += len(found[-1])
            size -= len(found[-1])
        return b"".join(found)

    def _of(self, number: int) -> bytes:
        if number != self._number:
            begin = number * _BLOCK
            size = max(0, min(_BLOCK, self._body - begin))
            data = os.pread(self._fd, size, begin)
            os.posix_fadvise(self._fd, begin, size, os.POSIX_FADV_DONTNEED)  # page cache counts against the budget
            told = self._part.sums[number * _SUM_BYTES : (number + 1) * _SUM_BYTES]
            if not size or hashlib.sha256(data).digest() != told:
                raise _damaged(self._part.path)
            self._number, self._block = number, data
        return self._block


def _rest(count: Totals, *, tokens: int, documents: int) -> Totals:
    taken = Totals(tokens=tokens, documents=documents)
    return Totals(**{item.name: getattr(count, item.name) - getattr(taken, item.name) for item in fields(Totals)})


def _stretches(file: _Checked, at: int, first: int, stop: int) -> Iterator[Any]:
    import numpy as np

    for number in range(first, stop, _STRETCH):
        size = min(_STRETCH, stop - number) * _END_BYTES
        yield np.frombuffer(file.read(at + number * _END_BYTES, size), "<u8").astype(np.int64)


def _body_bytes(segments: Sequence[Segment], token_bytes: int) -> int:
    return sum(each.tokens * token_bytes + each.ends * _END_BYTES for each in segments)


def open_part(path: Path, *, job: str, unit: int, token_bytes: int) -> StoredPart:
    """Open a part, and check what it says of itself; what is read of it is checked when it is read.

    Raises: BadInput if it is damaged, or of another job.
    """
    again = _damaged(path)
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            fd, size = file.fileno(), os.fstat(file.fileno()).st_size
            length, told, magic = _TAIL.unpack(os.pread(fd, _TAIL.size, max(0, size - _TAIL.size)))
            if magic != _MAGIC or length > _LONGEST_FOOTER or length > size:
                raise again
            footer = os.pread(fd, length, size - _TAIL.size - length)
            about = json.loads(footer)
            segments = tuple(Segment(**{**each, "count": Totals(**each["count"])}) for each in about["segments"])
            read = tuple((int(start), int(end), int(crc)) for start, end, crc in about["read"])
            body = _body_bytes(segments, token_bytes)
            sums = os.pread(fd, -(-body // _BLOCK) * _SUM_BYTES, body)
    except OSError as error:
        raise BadInput(f"{printable(str(path))} cannot be read: {error.strerror}", do=f"ls -l {path}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, struct.error) as error:
        raise again from error
    is_whole = body + len(sums) + length + _TAIL.size == size and hashlib.sha256(sums + footer).digest() == told
    is_ours = {key: about.get(key) for key in ("job", "unit", "token_bytes")} == {
        "job": job, "unit": unit, "token_bytes": token_bytes,
    }  # fmt: skip
    if not (is_whole and is_ours):
        raise again
    return StoredPart(path=path, token_bytes=token_bytes, segments=segments, read=read, sums=sums)


def _damaged(path: Path) -> BadInput:
    return BadInput(
        f"{printable(str(path))} is damaged, or of another job",
        do=f"rm {shlex.quote(str(path))}, then oomguard work again",
    )
