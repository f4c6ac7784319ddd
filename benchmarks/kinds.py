"""One text in the forms that corpora are kept in: documents of about 3 kB, as FineWeb has them."""

from __future__ import annotations

import gzip
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DOCUMENT = 3_000
BLOCK = 16 << 20
FILES = 8  # of jsonl.gz


def documents(source: Path) -> Iterator[list[str]]:
    """Paragraphs, joined until they are a document, about a block at a time."""
    rest = b""
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            *paragraphs, rest = (rest + block).split(b"\n\n")
            yield _joined(paragraphs)
    yield _joined([rest])


def _joined(paragraphs: list[bytes]) -> list[str]:
    found: list[str] = []
    open_document: list[bytes] = []
    size = 0
    for paragraph in paragraphs:
        open_document.append(paragraph)
        size += len(paragraph)
        if size >= DOCUMENT:
            found.append(b"\n\n".join(open_document).decode(errors="replace"))
            open_document, size = [], 0
    return [*found, b"\n\n".join(open_document).decode(errors="replace")] if open_document else found


def _line(number: int, text: str) -> bytes:
    record = {"id": f"document-{number}", "url": f"https://example.com/{number}", "text": text, "score": 0.5}
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _lines(source: Path) -> Iterator[bytes]:
    number = 0
    for block in documents(source):
        yield b"".join(_line(number + i, text) for i, text in enumerate(block))
        number += len(block)


def _jsonl(source: Path, out: Path) -> list[Path]:
    with out.open("wb") as file:
        file.writelines(_lines(source))
    return [out]


def _jsonl_zst(source: Path, out: Path) -> list[Path]:
    with pa.CompressedOutputStream(str(out), "zstd") as file:
        for block in _lines(source):
            file.write(block)
    return [out]


def _jsonl_gz(source: Path, out: Path) -> list[Path]:
    names = [out.with_name(f"{number}-{out.name}") for number in range(FILES)]
    number = 0
    with ExitStack() as stack:
        files = [stack.enter_context(gzip.open(name, "wb", compresslevel=6)) for name in names]
        for block in documents(source):
            for text in block:
                files[number % FILES].write(_line(number, text))
                number += 1
    return names


def _parquet(codec: str, rows: int | None) -> Callable[[Path, Path], list[Path]]:
    def make(source: Path, out: Path) -> list[Path]:
        texts = [text for block in documents(source) for text in block] if rows is None else None
        schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
        with pq.ParquetWriter(out, schema, compression=codec) as writer:
            number = 0
            for block in documents(source) if texts is None else [texts]:
                table = pa.table({"id": range(number, number + len(block)), "text": block}, schema=schema)
                writer.write_table(table, row_group_size=rows or len(block))
                number += len(block)
        return [out]

    return make


def _text(source: Path, out: Path) -> list[Path]:
    if not out.exists():
        out.symlink_to(source.resolve())
    return [out]


KINDS: dict[str, tuple[str, Callable[[Path, Path], list[Path]]]] = {
    "text": ("all.txt", _text),
    "jsonl": ("all.jsonl", _jsonl),
    "jsonl.zst": ("all.jsonl.zst", _jsonl_zst),
    "jsonl.gz": ("part.jsonl.gz", _jsonl_gz),
    "parquet": ("snappy-1000.parquet", _parquet("snappy", 1000)),
    "parquet, zstd": ("zstd-1000.parquet", _parquet("zstd", 1000)),
    "parquet, snappy, one row group": ("snappy-one.parquet", _parquet("snappy", None)),
    "parquet, one row group": ("zstd-one.parquet", _parquet("zstd", None)),
}


def make(source: Path, kind: str, folder: Path) -> list[Path]:
    """Write `source` as `kind` into `folder`, unless it is there."""
    name, write = KINDS[kind]
    out = folder / f"{source.stem}-{name}"
    there = sorted(folder.glob(f"*{out.name}")) if kind == "jsonl.gz" else [out] if out.exists() else []
    return there or write(source, out)
