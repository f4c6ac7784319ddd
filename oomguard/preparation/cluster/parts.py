"""A part: the tokens and document ends of one unit, in one file that appears whole or not at all.

Layout: tokens (uint16 or uint32, as the tokenizer has them), document ends (uint64, in tokens from the begin of their
segment), a JSON footer, its length (uint64), the magic. All numbers are little-endian. A segment is what one split
takes of the unit; most units are one segment, whose documents' numbers decide.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shlex
import struct
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.kernel import safe_files
from oomguard.preparation.writing.beside_files import read_part
from oomguard.preparation.writing.formats.stored import OrderedEnds
from oomguard.preparation.writing.manifest import disk_error, write_all
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.writing.token_sink import Split

_MAGIC = b"OOMPART1"
_TAIL = struct.Struct("<Q8s")
_LONGEST_FOOTER = MIB
_STRETCH = 1 << 16  # document ends read at once
_END_BYTES = 8


@dataclass(slots=True, kw_only=True)
class Segment:
    """What one split takes of a unit; None: the documents' numbers decide."""

    split: Split | None
    tokens: int = 0
    ends: int = 0  # that are stored
    count: Totals


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
        self._digest = hashlib.sha256()
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
        self._digest.update(piece.tokens)
        segment.tokens += len(piece.tokens) // self._token_bytes
        segment.ends += len(ends)
        segment.count = segment.count.plus(piece.count)
        self.totals = self.totals.plus(piece.count)
        self.position = piece.position

    def commit(self) -> bool:
        """Give the part its name, once it is on disk; False: another worker did so before, with the same tokens.

        Raises: BadInput if the disk refuses.
        """
        try:
            for data in read_part(self._ends, 0, os.fstat(self._ends).st_size):
                write_all(self._tokens, memoryview(data))
                self._digest.update(data)
            footer = json.dumps(
                {
                    **self._about,
                    "segments": [asdict(each) for each in self._segments],
                    "sha256": self._digest.hexdigest(),
                }
            ).encode()
            write_all(self._tokens, memoryview(footer + _TAIL.pack(len(footer), _MAGIC)))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """A part that is done, checked."""

    path: Path
    token_bytes: int
    segments: tuple[Segment, ...]

    def pieces(self, unit: int, *, segment: int = 0, token: int = 0) -> Iterator[EncodedPiece]:
        """Its pieces of up to a MiB, from a position on; each carries where to continue after it."""
        width = self.token_bytes
        all_tokens = sum(each.tokens for each in self.segments)
        tokens_at, ends_at = 0, all_tokens * width
        with self.path.open("rb") as file:
            fd = file.fileno()
            for number, each in enumerate(self.segments):
                if number >= segment:
                    yield from self._pieces_of(
                        fd, each, tokens_at, ends_at, unit=unit, number=number, token=token if number == segment else 0
                    )
                tokens_at += each.tokens * width
                ends_at += each.ends * _END_BYTES

    def _pieces_of(
        self, fd: int, segment: Segment, tokens_at: int, ends_at: int, *, unit: int, number: int, token: int
    ) -> Iterator[EncodedPiece]:
        import numpy as np

        width, step = self.token_bytes, MIB // self.token_bytes
        ends = OrderedEnds(_stretches(fd, ends_at, segment.ends))
        done = len(ends.up_to(token)) if token else 0
        while True:
            stop = min(token + step, segment.tokens)
            own = ends.up_to(stop) - token
            is_last = stop == segment.tokens
            data = os.pread(fd, (stop - token) * width, tokens_at + token * width)
            if len(data) < (stop - token) * width:
                raise BadInput(f"{self.path} became shorter while it was read", do=f"ls -l {self.path}")
            count = Totals(tokens=stop - token, documents=len(own))
            if is_last:  # what cannot be divided among pieces
                count = _rest(segment.count, tokens=token, documents=done)
            after = {"unit": unit, "segment": number, "token": stop}
            if is_last:
                after = {"unit": unit, "segment": number + 1, "token": 0}
            yield EncodedPiece(
                tokens=memoryview(data),
                ends=memoryview(np.ascontiguousarray(own, np.int64).tobytes()).cast("q"),
                split=segment.split,
                count=count,
                position=after,
            )
            if is_last:
                return
            token, done = stop, done + len(own)


def _rest(count: Totals, *, tokens: int, documents: int) -> Totals:
    taken = Totals(tokens=tokens, documents=documents)
    return Totals(**{item.name: getattr(count, item.name) - getattr(taken, item.name) for item in fields(Totals)})


def _stretches(fd: int, start: int, count: int) -> Iterator[Any]:
    import numpy as np

    for first in range(0, count, _STRETCH):
        size = min(_STRETCH, count - first) * _END_BYTES
        yield np.frombuffer(os.pread(fd, size, start + first * _END_BYTES), "<u8").astype(np.int64)


def open_part(path: Path, *, job: str, unit: int, token_bytes: int, check: bool = True) -> StoredPart:
    """Open a part; with `check` all of its bytes are compared with its sha256.

    Raises: BadInput if it is damaged, or of another job.
    """
    again = BadInput(
        f"{printable(str(path))} is damaged, or of another job",
        do=f"rm {shlex.quote(str(path))}, then oomguard work again",
    )
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            fd, size = file.fileno(), os.fstat(file.fileno()).st_size
            length, magic = _TAIL.unpack(os.pread(fd, _TAIL.size, max(0, size - _TAIL.size)))
            body = size - _TAIL.size - length
            if magic != _MAGIC or length > _LONGEST_FOOTER or body < 0:
                raise again
            footer = json.loads(os.pread(fd, length, body))
            segments = tuple(Segment(**{**each, "count": Totals(**each["count"])}) for each in footer["segments"])
            told = sum(each.tokens * token_bytes + each.ends * _END_BYTES for each in segments)
            about = {key: footer[key] for key in ("job", "unit", "token_bytes")}
            if about != {"job": job, "unit": unit, "token_bytes": token_bytes} or told != body:
                raise again
            if check and _sha256(fd, body) != footer["sha256"]:
                raise again
    except OSError as error:
        raise BadInput(f"{printable(str(path))} cannot be read: {error.strerror}", do=f"ls -l {path}") from error
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise again from error
    return StoredPart(path=path, token_bytes=token_bytes, segments=segments)


def _sha256(fd: int, size: int) -> str:
    digest = hashlib.sha256()
    for data in read_part(fd, 0, size):
        digest.update(data)
    return digest.hexdigest()
