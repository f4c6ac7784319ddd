"""Chunks under way, and the feed that cuts them out of a plain text file."""

from __future__ import annotations

import os
from dataclasses import field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from oomguard.errors import BadInput
from oomguard.preparation.encoding.cutting import VAL_REACH, find_first_cut, find_piece_end, find_val_start
from oomguard.preparation.encoding.safe_cuts import Separators, last_safe_cut
from oomguard.preparation.engines.messages import EncodeTask
from oomguard.preparation.reading.source import Source, read_at
from oomguard.records import dataclass
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from oomguard.preparation.encoding.safe_cuts import Family
    from oomguard.preparation.engines.messages import Encoded
    from oomguard.preparation.writing.token_sink import Split

_UNCUT_ROOM = 8  # as in the sum of memory, which says how long a stretch may be
_UNCUT_COST = 5  # bytes of memory for each byte of a long chunk: the text, its tokens


@dataclass(slots=True, kw_only=True)
class Work:
    """One chunk on its way through a worker. Its number is its place in the input."""

    number: int
    task: EncodeTask
    source: int  # its place in the list of sources
    split: Split | None
    position: dict[str, Any]  # where reading continues after it; of lines, without their number
    name: str  # of the source, for people
    member: str = ""  # the file in an archive that it comes from
    place: str = ""  # where in it the chunk is, for people; "": a byte says it
    lines_from: int = 0  # the byte of the source from which its lines are counted
    goes_on: bool = False  # its document ends here for a split's sake only: the next chunk has the rest
    attempts: int = 0
    is_suspect: bool = False  # a worker ended over it, more than once: it is done alone
    needs: int = 0  # bytes that it takes beyond the usual share of a chunk
    is_word: bool = False  # for a word that cannot be divided
    read: tuple[int, int] | None = None  # of its file: from there to there, or from 0 to where the stream reader was

    def parts(self, encoded: Encoded) -> list[tuple[int, int, int, int | None]]:
        """What was read of its source, for `ReadParts`; a stream's chunk is not the file's own bytes."""
        parts: list[tuple[int, int, int, int | None]] = [(self.source, *part) for part in encoded.read]  # type: ignore[misc]  # three numbers each
        if self.read is not None:
            parts.append((self.source, *self.read, encoded.crc if self.task.path is not None else None))
        return parts

    @property
    def is_alone(self) -> bool:
        """Whether nothing else may be under way. What pages take is known from their headers, so they may share."""
        return self.is_suspect or (self.needs > 0 and self.task.kind != "rows")

    def where(self, into: int, documents: int | None, line: int) -> str:
        """Say where it is: `into` bytes, lines or rows into this; with `documents`, if known, and `line` before it."""
        if self.task.kind == "lines":
            if self.lines_from:
                return f"{self.name}, from byte {self.lines_from} on: line {line + into}"
            return f"{self.name}:{line + into}"
        if self.task.kind == "rows":
            return f"{self.name}: row group {self.task.group}, row {int(self.place) + into}"
        if self.task.kind in ("documents", "values"):
            words, _, number = self.place.rpartition(" ")
            return f"{self.name}: {words} {int(number) + into}"
        if self.place:
            document = "" if documents is None else f"document {documents + 1} of the input, "
            return f"{self.name}: {document}at or after {self.place}"
        document = "" if documents is None else f" (document {documents + 1})"
        return f"{self.name}: byte {self.task.offset + into}{document}"

    @property
    def position_before(self) -> dict[str, Any]:
        """Of rows: where reading continues before them."""
        return {"source": self.source, "resume": {"row_group": self.task.group, "row": int(self.place)}}

    def rest_after(self, rows: int) -> Work | None:
        """Of rows: what is left when so many are done; None: nothing."""
        task = self.task
        if task.kind != "rows" or rows >= task.rows:
            return None
        return replace(
            self,
            task=replace(task, skip=task.skip + rows, rows=task.rows - rows, origin=task.origin + rows),
            place=str(int(self.place) + rows),
            attempts=0,
            is_suspect=False,
        )


class Feed(Protocol):
    """Cuts one source into chunks."""

    index: int
    source: Source

    def next_work(self, number: int, slot: int) -> Work | None:
        """Cut the next chunk; None where there is none now. Raises: OomguardError."""

    @property
    def is_done(self) -> bool:
        """Whether the source has been cut to its end."""

    @property
    def offset(self) -> int:
        """How far into the file it is, in bytes."""

    def close(self) -> None:
        """Close the file. Harmless twice."""


@dataclass(slots=True, kw_only=True)
class CutRules:
    """How text is cut into pieces, and how long a piece may be. Sizes in bytes."""

    family: Family
    separator: bytes
    universal_newlines: bool
    piece_bytes: int
    longest_word: int
    flag_with_room: Callable[[int], str]  # bytes that a chunk takes while it is alone -> the budget, for people
    once: bool = False  # what is read does not stay in the page cache

    def need(self, size: int) -> int:
        """Bytes that a chunk takes beyond the usual share of one."""
        return _UNCUT_COST * size if size > 2 * self.piece_bytes else 0


@dataclass(slots=True, kw_only=True)
class PlainFeed:
    """Cuts a plain text file into tasks; the encoders read the text themselves."""

    index: int
    source: Source
    rules: CutRules
    offset: int = 0
    val_from: int | None = None  # where validation begins
    size: int = field(init=False)  # bytes of the file when the run began
    end: int = field(init=False)  # where cutting ends: at a safe cut, or with the file
    _fd: int = field(init=False)
    _cut: Callable[[bytes], int | None] = field(init=False)
    _separators: Separators | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        assert self.source.size is not None
        self.size = self.source.size
        self.end = self.size if self.source.end is None else self.source.end
        try:
            self._fd = self.source.open_here()
        except OSError as error:
            name = printable(self.source.path)
            raise BadInput(f"cannot read {name}: {error.strerror}", do="check the name and its permissions") from error
        self._cut = partial(
            last_safe_cut,
            family=self.rules.family,
            separator=self.rules.separator,
            universal_newlines=self.rules.universal_newlines,
        )
        if self.rules.separator:
            self._separators = Separators(self.rules.separator, universal_newlines=self.rules.universal_newlines)

    def set_val_fraction(self, fraction: Fraction) -> None:
        """Let validation begin where the last `fraction` does; nothing is for it if there is no cut near there.

        Raises: Changed if the file is shorter than when the run began.
        """
        self.val_from = find_val_start(self._read, self._cut, size=self.size, share=fraction)

    def first_cut(self, start: int) -> int | None:
        """Give the first safe cut behind byte `start`, or the file's end; None: there is none within reach.

        Raises: Changed if the file is shorter than when the run began.
        """
        limit = min(self.size, start + VAL_REACH)
        return find_first_cut(self._read, self._cut, start=start, end=self.size, limit=limit)

    def _read(self, offset: int, length: int) -> bytes:
        return read_at(self._fd, self.source, offset, length, size=self.size, once=self.rules.once)

    def next_task(self, slot: int) -> tuple[EncodeTask, Split | None, dict[str, Any]] | None:
        """Cut the next piece; None at the end of the file.

        Raises: BadInput if a stretch that cannot be cut is longer than a piece may be; Changed if the file is shorter
        than when the run began.
        """
        if self.is_done:
            self.close()
            return None
        in_train = self.val_from is not None and self.offset < self.val_from
        stop = min(self.end, self.val_from) if in_train and self.val_from is not None else self.end
        rules = self.rules
        start = self.offset
        end = find_piece_end(
            self._read,
            self._cut,
            start=start,
            target=rules.piece_bytes,
            end=stop,
            longest=max(rules.longest_word, 2 * rules.piece_bytes),
            separators=self._separators,
        )
        if end is None:
            raise self._uncuttable(start)
        self.offset = end
        task = EncodeTask(
            slot=slot,
            size=end - start,
            path=self.source.path,
            offset=start,
            origin=start,
            mark=rules.separator.decode("latin-1"),
            starts_document=start in (0, self.val_from),
            ends_document=end in (self.val_from, self.size),
            strip_mark=end == self.size and bool(rules.separator),
        )
        split: Split | None = None if self.val_from is None else "train" if in_train else "val"
        position = {"source": self.index, "offset": end} if end < self.end else {"source": self.index + 1}
        return task, split, position

    @property
    def is_done(self) -> bool:
        """Whether the file, or its part, has been cut to its end."""
        return self.offset >= self.end

    def next_work(self, number: int, slot: int) -> Work | None:
        """Cut the next chunk; None at the end. Raises: as `next_task`."""
        cut = self.next_task(slot)
        if cut is None:
            return None
        task, split, position = cut
        return Work(
            number=number,
            task=task,
            source=self.index,
            split=split,
            position=position,
            name=printable(self.source.path),
            read=(task.offset, task.offset + task.size),
            goes_on=split == "train" and task.ends_document and task.offset + task.size < self.size,
            needs=self.rules.need(task.size),
        )

    def close(self) -> None:
        """Close the file. Harmless twice."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _uncuttable(self, start: int) -> BadInput:
        longest = max(self.rules.longest_word, 2 * self.rules.piece_bytes)
        return BadInput(
            f"{printable(self.source.path)}: the {format_size(longest)} from byte {start} on is one word "
            "that cannot be cut without changing tokens",
            do=f"{self.rules.flag_with_room(_UNCUT_ROOM * 2 * longest)} (for twice as long a word), "
            "or look at the file: such text is rarely meant to be there",
        )
