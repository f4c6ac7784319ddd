"""A part: the tokens and document ends of one unit, in one file that appears whole or not at all.

Layout: tokens (uint16 or uint32, as the tokenizer has them), document ends (uint64, in tokens from the begin of their
segment), the sha256 of each MiB of these, a JSON footer, its length (uint64), the sha256 of sums and footer, the magic.
All numbers are little-endian. So any stretch can be read, and is checked, without the rest. A segment is what one
split takes of the unit; most units are one segment, whose documents' numbers decide.
"""

from __future__ import annotations

import hashlib
import json
import struct
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.cluster.job_place import open_ranges, removal
from oomguard.preparation.cluster.s3_place import S3Place
from oomguard.preparation.writing.formats.stored import OrderedEnds
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from oomguard.text import printable, shell_word
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.cluster.job_place import JobPlace, Ranges
    from oomguard.preparation.writing.token_sink import Split

MAGIC = b"OOMPART2"
TAIL = struct.Struct("<Q32s8s")
BLOCK = MIB  # of which a sum is kept
_SUM_BYTES = 32
LONGEST_FOOTER = MIB
_STRETCH = 1 << 16  # document ends read at once
_END_BYTES = 8


@dataclass(slots=True, kw_only=True)
class Segment:
    """What one split takes of a unit; None: the documents' numbers decide."""

    split: Split | None
    tokens: int = 0
    ends: int = 0  # that are stored
    count: Totals


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something begins in a part: how much of it comes before."""

    segment: int = 0
    token: int = 0  # of the segment
    end: int = 0  # documents of the segment that have ended


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """A part that is done. What is read of it is checked before it is given."""

    path: JobPlace
    token_bytes: int
    segments: tuple[Segment, ...]
    read: tuple[tuple[int, int, int], ...] | None  # of the source: start, end, CRC-32; None: too many to be kept
    sums: bytes = field(repr=False)

    def pieces(self, unit: int, start: Place = Place(), stop: Place | None = None) -> Iterator[EncodedPiece]:
        """Its pieces of up to a MiB, from a place to another or the end; each carries where to continue after it.

        Raises: BadInput if it is damaged.
        """
        tokens_at, ends_at = 0, sum(each.tokens for each in self.segments) * self.token_bytes
        with ExitStack() as stack:
            tokens, ends = (_Checked(self, stack.enter_context(closing(open_ranges(self.path)))) for _ in range(2))
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
        width, step = self.token_bytes, MIB // self.token_bytes
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
        with closing(open_ranges(self.path)) as file:
            yield from _stretches(_Checked(self, file), ends_at, 0, self.segments[segment].ends)

    def check(self) -> None:
        """Read all of it. Raises: BadInput if it is damaged."""
        with closing(open_ranges(self.path)) as file:
            checked = _Checked(self, file)
            for block in range(-(-self._body // BLOCK)):
                checked.read(block * BLOCK, min(BLOCK, self._body - block * BLOCK))

    @property
    def _body(self) -> int:
        return _body_bytes(self.segments, self.token_bytes)


class _Checked:
    """Reads the blocks of a part; each is compared with its sum."""

    def __init__(self, part: StoredPart, file: Ranges) -> None:
        self._part, self._file = part, file
        self._body = _body_bytes(part.segments, part.token_bytes)
        self._number, self._block = -1, b""  # the one that was read last: the next stretch begins there

    def read(self, start: int, size: int) -> bytes:
        """Raises: BadInput."""
        found = []
        while size:
            number, skip = divmod(start, BLOCK)
            found.append(self._of(number)[skip : skip + size])
            start += len(found[-1])
            size -= len(found[-1])
        return b"".join(found)

    def _of(self, number: int) -> bytes:
        if number != self._number:
            begin = number * BLOCK
            size = max(0, min(BLOCK, self._body - begin))
            data = self._file.read_at(begin, size)
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


def open_part(path: JobPlace, *, job: str, unit: int, token_bytes: int) -> StoredPart:
    """Open a part, and check what it says of itself; what is read of it is checked when it is read.

    Raises: BadInput if it is damaged, or of another job.
    """
    again = _damaged(path)
    try:
        with closing(open_ranges(path)) as file:
            size = file.size
            length, told, magic = TAIL.unpack(file.read_at(max(0, size - TAIL.size), TAIL.size))
            if magic != MAGIC or length > LONGEST_FOOTER or length > size:
                raise again
            footer = file.read_at(size - TAIL.size - length, length)
            about = json.loads(footer)
            segments = tuple(Segment(**{**each, "count": Totals(**each["count"])}) for each in about["segments"])
            kept = about["read"]
            read = None if kept is None else tuple((int(start), int(end), int(crc)) for start, end, crc in kept)
            body = _body_bytes(segments, token_bytes)
            sums_size = -(-body // BLOCK) * _SUM_BYTES
            if body < 0 or body + sums_size + length + TAIL.size != size:
                raise again
            sums = file.read_at(body, sums_size)
    except OSError as error:
        look = f"{'aws s3 ls' if isinstance(path, S3Place) else 'ls -l'} {shell_word(str(path))}"
        raise BadInput(f"{printable(str(path))} cannot be read: {error.strerror}", do=look) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, struct.error) as error:
        raise again from error
    is_whole = len(sums) == sums_size and hashlib.sha256(sums + footer).digest() == told
    is_ours = {key: about.get(key) for key in ("job", "unit", "token_bytes")} == {
        "job": job, "unit": unit, "token_bytes": token_bytes,
    }  # fmt: skip
    if not (is_whole and is_ours):
        raise again
    return StoredPart(path=path, token_bytes=token_bytes, segments=segments, read=read, sums=sums)


def _damaged(path: JobPlace) -> BadInput:
    return BadInput(
        f"{printable(str(path))} is damaged, or of another job",
        do=f"{removal(path)}, then oomguard work again",
    )
