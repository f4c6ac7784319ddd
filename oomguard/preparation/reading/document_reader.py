"""What runs inside the reader process: any source in, pieces of UTF-8 text out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oomguard.preparation.reading.jsonl import iter_jsonl
from oomguard.preparation.reading.parquet import iter_parquet
from oomguard.preparation.reading.pieces import Piece, ReadOptions
from oomguard.preparation.reading.text_stream import iter_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.pieces import Reserve
    from oomguard.preparation.reading.sources import Source

__all__ = ["Piece", "ReadOptions", "iter_pieces"]


def iter_pieces(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give `source` in pieces, from its begin or from the `resume` of the last piece that was dealt with.

    The documents are the same wherever reading was broken off; the pieces need not be.
    Raises: BadInput, BudgetTooSmall, Changed with the place; whatever `reserve` does.
    """
    reader = {"text": iter_text, "jsonl": iter_jsonl, "parquet": iter_parquet}[source.kind]
    return reader(source, options=options, resume=resume, reserve=reserve)
