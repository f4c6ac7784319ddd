"""What the tests of the readers share: sources of every kind, and pieces put together again."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from oomguard.preparation.reading.document_reader import Piece, ReadOptions, iter_pieces
from oomguard.preparation.reading.source import Source

SENTINEL = b"\xef\xb7\x90oomguard-test\xef\xb7\x91"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


def options(**changes: Any) -> ReadOptions:
    return ReadOptions(**{"sentinel": SENTINEL, "family": "gpt2", **changes})


def source(path: Path, kind: Any, compression: Any = None) -> Source:
    return Source(path=str(path), kind=kind, compression=compression, size=None, mtime_ns=None)


def granted(size: int, where: str) -> None:
    """Refuse nothing."""


def read(path: Path, kind: str, *, compression: str | None = None, resume: Any = None, **changes: Any) -> list[Piece]:
    return list(
        iter_pieces(source(path, kind, compression), options=options(**changes), resume=resume, reserve=granted)
    )


def documents_in(pieces: Iterable[Piece], between: bytes = SENTINEL) -> list[bytes]:
    """Put documents together as an encoder does; an unfinished one at either end is given as it is."""
    documents: list[bytes] = []
    is_open = False
    for piece in pieces:
        parts = piece.data.split(between) if between else [piece.data]
        assert piece.documents == len(parts) - 1 + piece.ends_document
        if piece.starts_document:
            assert not is_open
        elif documents and is_open:
            documents[-1] += parts.pop(0)
        elif not piece.data and not piece.documents:
            continue  # only tells of documents that were left out
        documents += parts
        is_open = not piece.ends_document
    return documents


def skipped_in(pieces: list[Piece]) -> int:
    """How many documents were left out, by the last piece's position; it never goes back."""
    counts = [piece.resume.get("skipped", 0) for piece in pieces]
    assert counts == sorted(counts)
    return counts[-1] if counts else 0


def check_every_resume(path: Path, kind: str, pieces: list[Piece], between: bytes = SENTINEL, **how: Any) -> None:
    """Reading from any piece's position gives the rest of the text, document by document."""
    for number, piece in enumerate(pieces):
        rest = read(path, kind, resume=piece.resume, **how)
        assert documents_in(rest, between) == documents_in(pieces[number + 1 :], between)
        if rest:
            first = next((p for p in pieces[number + 1 :] if p.documents or p.data), None)
            assert first is None or rest[0].starts_document == first.starts_document
        assert skipped_in(rest or [piece]) == skipped_in(pieces)
