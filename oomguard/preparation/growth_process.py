"""A process that shows how a tokenizer's memory grows: it encodes a text until the time is up, or there is enough."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.preparation.allocators import settle_allocators

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STRETCH = 1 << 18  # bytes, as encoders encode
_EVERY = 1 << 20  # bytes between two points that are told


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthTask:
    """What to encode, and how long."""

    files: Sequence[str]
    encoding: str
    rank_file: str
    text_field: str
    seconds: float
    most: int  # bytes of memory after which no more need be known


def main() -> None:
    """Take a task as JSON from the command line; print the points (text, memory; bytes) as JSON."""
    settle_allocators()
    os.environ["RAYON_NUM_THREADS"] = "1"
    print(json.dumps(_measure(GrowthTask(**json.loads(sys.argv[1])))))


def _measure(task: GrowthTask) -> list[tuple[int, int]]:
    from oomguard.preparation.encodings import find_encoding
    from oomguard.preparation.engines import make_engine
    from oomguard.preparation.messages import new_sentinel
    from oomguard.preparation.own_memory import OwnMemory

    sentinel = new_sentinel()
    engine = make_engine(find_encoding(task.encoding), Path(task.rank_file), mark=sentinel)
    texts = _texts(task, sentinel)
    engine.encode(next(texts, b""))
    memory = OwnMemory()
    held, done, points = 0, 0, [(0, 0)]
    until = time.monotonic() + task.seconds
    for text in texts:
        before = memory.anonymous()
        engine.encode(text)
        held += memory.anonymous() - before  # what reading takes is not the tokenizer's
        done += len(text)
        if done - points[-1][0] >= _EVERY:
            points.append((done, max(0, held)))
        if held > task.most or time.monotonic() > until:
            break
    if done > points[-1][0]:
        points.append((done, max(0, held)))
    return points


def _texts(task: GrowthTask, sentinel: bytes) -> Iterator[bytes]:
    from oomguard.preparation.document_reader import ReadOptions, iter_pieces
    from oomguard.preparation.encodings import find_encoding
    from oomguard.preparation.sources import find_sources

    options = ReadOptions(
        sentinel=sentinel,
        family=find_encoding(task.encoding).family,
        text_field=task.text_field,
        errors="replace",
        piece_bytes=_STRETCH,
    )
    for source in find_sources(task.files, folder=Path(), exclude=None):
        for piece in iter_pieces(source, options=options, resume=None, reserve=lambda *_: None):
            yield bytes(piece.data)


if __name__ == "__main__":
    main()
