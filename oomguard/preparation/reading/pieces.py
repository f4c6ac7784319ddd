"""Pieces of a stream: about a mebibyte each, which travel from the stream reader to a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from oomguard.errors import BadInput
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oomguard.preparation.encoding.safe_cuts import Family

    # Asks for memory before it is held: the bytes that the step takes at its peak on top of the reader's usual need,
    # and for what. Raises to refuse. Nothing is given back: the largest amount that was granted stays granted.
    Reserve = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How sources become pieces."""

    family: Family
    errors: Literal["strict", "replace", "skip"] = "strict"
    separator: bytes = b""  # stands between the documents of a text; empty: one document a file
    universal_newlines: bool = False  # of texts: CR LF and CR read as LF
    piece_bytes: int = MIB
    longest_piece: int = 16 * MIB  # the most that is searched for a safe cut
    largest_document: int = 1 << 62  # a longer line or document is refused
    unasked: int = 8 * MIB  # a line, document or page of more than this is asked for

    def __post_init__(self) -> None:
        if not 0 < self.piece_bytes <= self.longest_piece:
            raise ValueError(f"piece_bytes {self.piece_bytes} is not in 1..longest_piece")


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive text, or whole lines, of a source.

    Of text, `b"".join(data).split(separator)` are its parts of documents: the first goes on with the document of the
    piece before unless `starts_document`, the last goes on in the next piece unless `ends_document`.
    """

    data: Sequence[bytes | bytearray | memoryview]  # one behind the other
    starts_document: bool
    ends_document: bool
    resume: dict[str, Any]  # JSON: where reading goes on right after this piece
    where: str  # the place of its first byte: "line 120", "byte 4096"


def no_cut(path: str, where: str, width: int) -> BadInput:
    """Say that a text has no safe cut."""
    return BadInput(
        f"{path}: {where}: the next {format_size(width)} are one word, which cannot be cut without changing tokens",
        do="put spaces into this text or take it out, or give a larger --max-rss",
    )
