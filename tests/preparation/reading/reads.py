"""What the tests of the readers share: sources of every kind, read chunk by chunk as a run reads them."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from oomguard import errors
from oomguard.errors import BadInput
from oomguard.preparation.engines.line_feed import LineFeed, RowFeed
from oomguard.preparation.reading.line_stream import iter_lines
from oomguard.preparation.reading.lines import BadLine, parse_lines
from oomguard.preparation.reading.parquet import BadRow, close_file, plan_groups, read_rows
from oomguard.preparation.reading.pieces import Piece, ReadOptions
from oomguard.preparation.reading.source import Source
from oomguard.preparation.reading.text_stream import iter_text

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


@dataclass
class Chunk:
    """The documents of some lines or rows, and where reading goes on behind them."""

    documents: list[bytes]
    resume: dict[str, Any]
    left_out: int
    where: str


def options(**changes: Any) -> ReadOptions:
    return ReadOptions(**{"family": "gpt2", **changes})


def source(path: Path, kind: Any, compression: Any = None) -> Source:
    size = path.stat().st_size if path.exists() else None
    return Source(path=str(path), kind=kind, compression=compression, size=size, mtime_ns=None)


def granted(size: int, where: str) -> None:
    """Refuse nothing."""


def read_text(path: Path, *, compression: str | None = None, resume: Any = None, **changes: Any) -> list[Piece]:
    return list(
        iter_text(source(path, "text", compression), options=options(**changes), resume=resume, reserve=granted)
    )


def read(
    path: Path, kind: str, *, compression: str | None = None, resume: Any = None, piece_bytes: int = 1 << 20,
    errors: str = "strict", field: str = "text", longest: int = 1 << 30, most: int = 1 << 30,
) -> list[Chunk]:  # fmt: skip
    """Read JSON Lines or Parquet as a run does: what the coordinator cuts or a stream gives, decoded by workers."""
    if kind == "parquet":
        try:
            return list(_rows(path, resume or {}, piece_bytes, errors, field, most))
        finally:
            close_file()
    if compression is None:
        return list(_lines(path, _ranges(path, resume or {}, piece_bytes, longest), errors, field))
    how = options(piece_bytes=piece_bytes, largest_document=longest)
    stream = iter_lines(source(path, "jsonl", compression), options=how, resume=resume, reserve=granted)
    blocks = ((b"".join(piece.data), piece.starts_document, piece.resume, piece.where) for piece in stream)
    return list(_lines(path, blocks, errors, field))


def _ranges(path: Path, resume: dict[str, Any], size: int, longest: int) -> Iterator[tuple[bytes, bool, Any, str]]:
    feed = LineFeed(index=0, source=source(path, "jsonl"), chunk=size, longest=longest, offset=resume.get("offset", 0))
    line = resume.get("line", 1)
    data = path.read_bytes()
    while (work := feed.next_work(0, 0)) is not None:
        task = work.task
        text = data[task.offset : task.offset + task.size]
        where, line = f"line {line}", line + text.count(b"\n") + (not text.endswith(b"\n"))
        yield text, task.starts_document, {"offset": task.offset + task.size, "line": line}, where
    feed.close()


def _lines(path: Path, blocks: Iterable[tuple[bytes, bool, Any, str]], errors: str, field: str) -> Iterator[Chunk]:
    for data, at_start, resume, where in blocks:
        try:
            found = parse_lines(data, field=field, errors=errors, at_start=at_start)
        except BadLine as bad:
            raise BadInput(f"{path}:{int(where.split()[1]) + bad.row}: {bad.what}", do=bad.do) from bad
        ends = found.offsets
        documents = [bytes(found.text[a:b]) for a, b in pairwise(ends)]
        yield Chunk(documents, resume, len(found.bad), where)


def _rows(path: Path, resume: dict[str, Any], size: int, errs: str, field: str, most: int) -> Iterator[Chunk]:
    asked: list[dict[str, Any]] = []
    feed = RowFeed(
        index=0, source=replace(source(path, "parquet"), text_field=field), ask=asked.append, chunk=size,
        group=resume.get("row_group", 0), row=resume.get("row", 0),
    )  # fmt: skip
    while not feed.is_done:
        work = feed.next_work(0, 0)
        if asked:
            plan = plan_groups(asked.pop())
            if "error" in plan:
                raise getattr(errors, plan["error"]["class"])(plan["error"]["what"], do=plan["error"]["do"])
            feed.planned(plan)
        while work is not None:
            documents, done, left_out = [], 0, 0
            try:
                for found in read_rows(work.task, field=field, errors=errs, most=most):
                    text = bytes(found.text)
                    documents += [text[a:b] for a, b in pairwise(found.offsets)]
                    done += found.done
                    left_out += found.left_out
            except BadRow as bad:
                raise BadInput(f"{work.where(bad.row, 0, 0)}: {bad.what}", do=bad.do) from bad
            rest = work.rest_after(done)
            after = (rest.position_before if rest else work.position).get("resume", {})
            yield Chunk(documents, after, left_out, work.where(0, 0, 0))
            work = rest


def documents_in(chunks: Iterable[Chunk]) -> list[bytes]:
    return [document for chunk in chunks for document in chunk.documents]


def text_documents_in(pieces: Iterable[Piece], between: bytes) -> list[bytes]:
    """Put documents together as an encoder does; an unfinished one at either end is given as it is."""
    documents: list[bytes] = []
    is_open = False
    for piece in pieces:
        data = b"".join(piece.data)
        parts = data.split(between) if between else [data]
        if piece.starts_document:
            assert not is_open
        elif documents and is_open:
            documents[-1] += parts.pop(0)
        documents += parts
        is_open = not piece.ends_document
    return documents


def skipped_in(chunks: list[Chunk]) -> int:
    """How many documents were left out."""
    return sum(chunk.left_out for chunk in chunks)


def check_every_resume(path: Path, kind: str, chunks: list[Chunk], **how: Any) -> None:
    """Reading from behind any chunk gives the rest, document by document."""
    for number, chunk in enumerate(chunks[:-1]):
        rest = read(path, kind, resume=chunk.resume, **how)
        assert documents_in(rest) == documents_in(chunks[number + 1 :])
        assert skipped_in(rest) == skipped_in(chunks[number + 1 :])
