"""Pieces under way, and the feed that cuts them out of a plain text file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, Changed
from oomguard.preparation.encoding.cutting import find_first_cut, find_piece_end
from oomguard.preparation.encoding.safe_cuts import last_safe_cut
from oomguard.preparation.engines.messages import EncodeTask
from oomguard.text import printable
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from oomguard.preparation.encoding.safe_cuts import Family
    from oomguard.preparation.reading.sources import Source
    from oomguard.preparation.writing.token_sink import Split

# How far to look for a cut where a validation split is to begin.
_SPLIT_REACH = 64 * MIB


@dataclass(slots=True, kw_only=True)
class Work:
    """One piece on its way through an encoder. Its number is its place in the text."""

    number: int
    task: EncodeTask
    mark: bytes
    split: Split | None
    position: dict[str, Any]  # where reading goes on after it
    where: Callable[[int, int], str]  # (bytes into the piece, documents before it in the run) -> words for people
    left_out: int = 0
    goes_on: bool = False  # its document ends here for a split's sake only: the next piece has the rest
    attempts: int = 0


@dataclass(slots=True, kw_only=True)
class CutRules:
    """How text is cut into pieces, and how long a piece may be. Sizes in bytes."""

    family: Family
    separator: bytes
    universal_newlines: bool
    piece_bytes: int
    longest_word: int
    longest_needs: Callable[[int], str]  # a piece of this many bytes -> the budget it needs, for people


@dataclass(slots=True, kw_only=True)
class PlainFeed:
    """Cuts a plain text file into tasks; the encoders read the text themselves."""

    index: int
    source: Source
    rules: CutRules
    offset: int = 0
    val_from: int | None = None  # where validation begins
    _fd: int = field(init=False)
    _cut: Callable[[bytes], int | None] = field(init=False)

    def __post_init__(self) -> None:
        try:
            self._fd = os.open(self.source.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            name = printable(self.source.path)
            raise BadInput(f"cannot read {name}: {error.strerror}", do="check the name and its permissions") from error
        self._cut = partial(
            last_safe_cut,
            family=self.rules.family,
            separator=self.rules.separator,
            universal_newlines=self.rules.universal_newlines,
        )

    @property
    def size(self) -> int:
        """Bytes of the file when the run began."""
        assert self.source.size is not None
        return self.source.size

    def set_val_fraction(self, fraction: Fraction) -> None:
        """Let validation begin where the last `fraction` does; nothing is for it if there is no cut near there.

        Raises: Changed if the file is shorter than when the run began.
        """
        start = int(self.size * (1 - fraction))
        limit = min(self.size, start + _SPLIT_REACH)
        cut = find_first_cut(self._read, self._cut, start=start, end=self.size, limit=limit)
        self.val_from = self.size if cut is None else cut

    def _read(self, offset: int, length: int) -> bytes:
        got = os.pread(self._fd, length, offset)
        if len(got) < length:
            raise Changed(
                f"{printable(self.source.path)} became shorter while it was read: "
                f"{offset + len(got)} bytes, and {self.size} when the run began",
                do="give the same file again, or begin anew with --restart",
            )
        return got

    def next_task(self, slot: int) -> tuple[EncodeTask, Split | None, dict[str, Any]] | None:
        """Cut the next piece; None at the end of the file.

        Raises: BadInput if a stretch that cannot be cut is longer than a piece may be; Changed if the file is shorter
        than when the run began.
        """
        if self.offset >= self.size:
            self.close()
            return None
        in_train = self.val_from is not None and self.offset < self.val_from
        stop = self.val_from if in_train and self.val_from is not None else self.size
        rules = self.rules
        start = self.offset
        end = find_piece_end(
            self._read,
            self._cut,
            start=start,
            target=rules.piece_bytes,
            end=stop,
            longest=max(rules.longest_word, 2 * rules.piece_bytes),
        )
        if end is None:
            raise self._uncuttable(start)
        self.offset = end
        task = EncodeTask(
            slot=slot,
            size=end - start,
            path=self.source.path,
            offset=start,
            starts_document=start in (0, self.val_from),
            ends_document=end == stop,
            strip_mark=end == self.size and bool(rules.separator),
        )
        split: Split | None = None if self.val_from is None else "train" if in_train else "val"
        position = {"source": self.index, "offset": end} if end < self.size else {"source": self.index + 1}
        return task, split, position

    def close(self) -> None:
        """Close the file. Harmless twice."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def where(self, start: int, into: int, documents: int) -> str:
        """Say where a byte is: file, offset, document (from 1, over the whole input)."""
        return f"{printable(self.source.path)}: byte {start + into} (document {documents + 1})"

    def _uncuttable(self, start: int) -> BadInput:
        longest = max(self.rules.longest_word, 2 * self.rules.piece_bytes)
        return BadInput(
            f"{printable(self.source.path)}: the {format_size(longest)} from byte {start} on are one word "
            "that cannot be cut without changing tokens",
            do=f"give it more memory ({self.rules.longest_needs(2 * longest)} for twice as long a word), "
            "or look at the file: text of that kind is rarely meant to be there",
        )
