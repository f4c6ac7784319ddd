"""Pieces: about a mebibyte of UTF-8 text each, the unit that travels from the reader to an encoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oomguard.errors import BadInput, Changed
from oomguard.preparation.encoding.safe_cuts import last_safe_cut
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oomguard.preparation.encoding.safe_cuts import Family

    # Asks for memory before it is held: the bytes that the step takes at its peak on top of the reader's usual need,
    # and for what. Raises to refuse. Nothing is given back: the largest amount that was granted stays granted.
    Reserve = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How sources become pieces."""

    sentinel: bytes  # stands between the documents of jsonl and parquet; no text holds it
    family: Family
    text_field: str = "text"
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
    """Consecutive text of a source.

    `data.split(sentinel)` are its parts of documents: the first goes on with the document of the piece before unless
    `starts_document`, the last goes on in the next piece unless `ends_document`. So `documents`, those that end here,
    are the sentinels, and one more if `ends_document`. A piece without data that neither starts nor ends a document
    only says that documents were left out behind the last one.
    """

    data: bytes
    starts_document: bool
    ends_document: bool
    documents: int
    resume: dict[str, Any]  # JSON: where reading goes on right after this piece; "skipped": documents left out so far
    where: str  # the place of the first document: "line 120", "row group 3, row 17", "byte 4096"


class Places(Protocol):
    """Where the documents of a batch stand in their source."""

    def before(self, document: int) -> dict[str, Any]:
        """The position from which this document is read."""

    def after(self, document: int) -> dict[str, Any]:
        """The position right behind this document."""

    def where(self, document: int) -> str:
        """The same for people."""

    def left_out(self, document: int, *, behind: bool) -> int:
        """How many were left out since reading began, up to the position before or behind this document."""


@dataclass(slots=True)
class PieceBuilder:
    """Joins small documents into pieces, and cuts large ones into several."""

    path: str  # as shown in errors
    options: ReadOptions
    inside: int = 0  # bytes of the first document that were read before
    skipped: int = 0  # documents left out before
    _parts: list[bytes] = field(default_factory=list)
    _size: int = 0
    _documents: int = 0
    _where: str = ""
    _resume: dict[str, Any] = field(default_factory=dict)
    _left_out: int = 0  # up to the last held document
    _told: int = 0  # of these, in pieces given

    def add(self, texts: pa.Array, places: Places) -> Iterator[Piece]:
        """Take the next documents, `texts: binary or large_binary[document_count]` without nulls.

        Raises: BadInput for a text with no safe cut; Changed if the first document is not the one that was cut.
        """
        limit, between = self.options.piece_bytes, len(self.options.sentinel)
        ends = _ends(texts)
        # Where each document would end if all were joined, each with a sentinel before it.
        joined = ends[1:] - ends[0] + between * np.arange(1, len(ends))
        large = np.flatnonzero(np.diff(ends) > limit).tolist()
        first = 0
        if self.inside and len(texts):
            yield from self._cut(texts, 0, places)
            first = 1
        elif len(texts) and self._size > limit // 2 and joined[-1] - between <= limit < self._size + joined[-1]:
            yield from self.flush()  # a batch that fills a piece on its own is joined once, not in two parts
        while first < len(texts):
            while large and large[0] < first:
                large.pop(0)
            if large and large[0] == first:
                yield from self.flush()
                yield from self._cut(texts, first, places)
                first += 1
                continue
            taken = int(joined[first - 1]) if first else 0
            room = limit + between if not self._parts else limit - self._size
            last = min(int(np.searchsorted(joined, taken + room, side="right")), large[0] if large else len(texts))
            if last <= first:
                yield from self.flush()
                continue
            self._hold(texts, first, last, places)
            first = last

    def finish(self, end: dict[str, Any], *, left_out: int) -> Iterator[Piece]:
        """Give what is left. `end` is the end's position, `left_out` the documents left out in all."""
        if self.inside:
            raise self._changed()
        yield from self.flush()
        if left_out > self._told:
            self._left_out = left_out
            yield self._piece(b"", starts=False, ends=False, resume=end, where="end")

    def _hold(self, texts: pa.Array, first: int, last: int, places: Places) -> None:
        part = _join(texts, first, last, self.options.sentinel)
        if part.count(self.options.sentinel) != last - first - 1:
            raise RuntimeError(f"a document holds the sentinel {self.options.sentinel!r}")
        if not self._parts:
            self._where = places.where(first)
        else:
            self._size += len(self.options.sentinel)
        self._parts.append(part)
        self._size += len(part)
        self._documents += last - first
        self._resume = places.after(last - 1)
        self._left_out = places.left_out(last - 1, behind=True)

    def flush(self) -> Iterator[Piece]:
        """Give what is held as a piece: at the end, or before an error that ends the reading."""
        if not self._parts:
            return
        data = self.options.sentinel.join(self._parts)
        self._parts.clear()
        piece = self._piece(data, starts=True, ends=True, resume=self._resume, where=self._where)
        self._size = self._documents = 0
        yield piece

    def _piece(self, data: bytes, *, starts: bool, ends: bool, resume: dict[str, Any], where: str) -> Piece:
        self._told = self._left_out
        resume = {**resume, "skipped": self.skipped + self._left_out}
        return Piece(data, starts, ends, self._documents, resume, where)

    def _cut(self, texts: pa.Array, document: int, places: Places) -> Iterator[Piece]:
        """Give one document in pieces of its own, from where it was left off."""
        start, end = _ends(texts)[document : document + 2].tolist()
        text = memoryview(texts.buffers()[2])[start:end] if end > start else memoryview(b"")
        at, self.inside = self.inside, 0
        if at > len(text):
            raise self._changed()
        where = places.where(document)
        self._left_out = places.left_out(document, behind=False)
        while len(text) - at > self.options.piece_bytes:
            cut = find_cut(text[at:], self.path, where, self.options)
            if cut is None:
                break
            data = self._clean(bytes(text[at : at + cut]))
            resume = {**places.before(document), "inside": at + cut}
            yield self._piece(data, starts=at == 0, ends=False, resume=resume, where=_inside(where, at))
            at += cut
        self._documents = 1
        self._left_out = places.left_out(document, behind=True)
        data = self._clean(bytes(text[at:]))
        yield self._piece(data, starts=at == 0, ends=True, resume=places.after(document), where=_inside(where, at))
        self._documents = 0

    def _clean(self, data: bytes) -> bytes:
        if self.options.sentinel in data:
            raise RuntimeError(f"a document holds the sentinel {self.options.sentinel!r}")
        return data

    def _changed(self) -> Changed:
        return Changed(
            f"{self.path}: the document that was being read is shorter than the part already done, {self.inside} bytes",
            do="put the input back as it was, or begin again with --restart",
        )


def find_cut(text: memoryview, path: str, where: str, options: ReadOptions) -> int | None:
    """Find a safe cut in the begin of `text`, in wider and wider windows; None: take all of it as one piece.

    Raises: BadInput if there is none in the first `longest_piece` bytes.
    """
    width = options.piece_bytes
    while True:
        cut = last_safe_cut(bytes(text[:width]), family=options.family)
        if cut is not None or width >= len(text):
            return cut
        if width >= options.longest_piece:
            raise no_cut(path, where, width)
        width = min(2 * width, options.longest_piece)


def no_cut(path: str, where: str, width: int) -> BadInput:
    """Say that a text has no safe cut."""
    return BadInput(
        f"{path}: {where}: the next {format_size(width)} are one word, which cannot be cut without changing tokens",
        do="put spaces into this text or take it out, or give a larger --max-rss",
    )


def _inside(where: str, at: int) -> str:
    return f"{where}, byte {at} of the document" if at else where


def _ends(texts: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where each text begins in the values' buffer, and where the last one ends: int64[text_count + 1]."""
    offsets = texts.buffers()[1]
    if not len(texts) or offsets is None:
        return np.zeros(1, dtype=np.int64)
    width = np.int64 if pa.types.is_large_binary(texts.type) else np.int32
    return np.frombuffer(offsets, dtype=width)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)


def _join(texts: pa.Array, first: int, last: int, sentinel: bytes) -> bytes:
    ends = _ends(texts)[first : last + 1]
    if ends[0] == ends[-1]:
        return sentinel * (last - first - 1)
    # An array of these texts alone: binary_join allocates for all values there are, also those in other lists.
    values = texts.buffers()[2].slice(int(ends[0]), int(ends[-1] - ends[0]))
    few = pa.Array.from_buffers(pa.large_binary(), last - first, [None, pa.py_buffer(ends - ends[0]), values])
    listed = pa.ListArray.from_arrays(pa.array([0, last - first], pa.int32()), few)
    joined: bytes = pc.binary_join(listed, pa.scalar(sentinel, pa.large_binary())).buffers()[2].to_pybytes()
    return joined
