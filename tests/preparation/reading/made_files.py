"""Documents written as files of each kind, and read again."""

import csv
import io
import json
import tarfile
from collections.abc import Callable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
from hypothesis import strategies as st

from oomguard.preparation.reading.arrow_batches import iter_arrow
from oomguard.preparation.reading.csv_records import iter_csv
from oomguard.preparation.reading.json_values import iter_values
from oomguard.preparation.reading.lines import parse_values
from oomguard.preparation.reading.pieces import Piece, unpack
from oomguard.preparation.reading.source import Source
from oomguard.preparation.reading.tar_members import iter_tar
from oomguard.preparation.reading.warc_records import iter_warc
from tests.preparation.reading.reads import granted, options

texts = st.one_of(
    st.lists(
        st.sampled_from(["a", "b ", "\n", "\r\n", ",", '"', '""', "\\", "[", "]", "{", "}", "字", "🙂", "\t"])
    ).map("".join),
    st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30),
)


documents = st.lists(texts, min_size=1, max_size=12)


def as_json(found: list[str]) -> bytes:
    return json.dumps([{"n": [1, {"text": "no"}], "text": one} for one in found], ensure_ascii=False, indent=1).encode()


def as_objects(found: list[str]) -> bytes:
    return "\n".join(json.dumps({"text": one, "n": '}"'}, indent=2) for one in found).encode()


def as_csv(found: list[str], dialect: str = "excel") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, dialect=dialect)
    writer.writerows([["id", "text"], *([number, one] for number, one in enumerate(found))])
    return file.getvalue().encode()


def as_tar(found: list[str]) -> bytes:
    """Every other one a text, the others lines of one file, with a long name and what is passed over."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, one in enumerate(found):
            add_member(archive, f"../{'long' * 40}/{number}.jsonl", json.dumps({"text": one}).encode() + b"\n")
            add_member(archive, "/etc/passwd.png", b"\x89PNG")
    return file.getvalue()


def add_member(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def as_warc(found: list[str]) -> bytes:
    parts = [b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 6\r\n\r\na: b\r\n\r\n\r\n"]
    for one in found:
        body = one.encode()
        head = f"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        parts += [head.encode(), body, b"\r\n\r\n"]
    return b"".join(parts)


def as_arrow(found: list[str], make: Any, compression: str | None, kind: Any) -> bytes:
    return as_bytes(pa.table({"n": range(len(found)), "text": pa.array(found).cast(kind)}), make, compression)


def as_bytes(table: pa.Table, make: Any, compression: str | None = None) -> bytes:
    file = io.BytesIO()
    with make(file, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=3)
    return file.getvalue()


def view_of_text() -> pa.DataType:
    """The type of Feather files that Polars writes; plain text where this pyarrow cannot make it (16.0)."""
    try:
        return pa.array([""]).cast(pa.string_view()).type
    except pa.ArrowNotImplementedError:
        return pa.string()


KINDS: dict[str, tuple[Callable[..., Any], str, Callable[[list[str]], bytes]]] = {
    "array": (iter_values, "json", as_json),
    "objects": (iter_values, "json", as_objects),
    "csv": (iter_csv, "csv", as_csv),
    "tsv": (iter_csv, "tsv", lambda found: as_csv(found, "excel-tab")),
    "tar": (iter_tar, "tar", as_tar),
    "warc": (iter_warc, "warc", as_warc),
    "arrow": (iter_arrow, "arrow", lambda found: as_arrow(found, pa.ipc.new_file, None, pa.string())),
    "stream": (iter_arrow, "arrow", lambda found: as_arrow(found, pa.ipc.new_stream, "zstd", pa.large_string())),
    "feather": (iter_arrow, "arrow", lambda found: as_arrow(found, pa.ipc.new_file, "lz4", view_of_text())),
}


def source(path: Path, kind: Any, compression: Any = None, **more: Any) -> Source:
    return Source(path=str(path), kind=kind, compression=compression, size=None, mtime_ns=None, **more)


def read(name: str, path: Path, *, compression: Any = None, resume: Any = None, **how: Any) -> list[Piece]:
    reader, kind, _ = KINDS[name]
    return list(reader(source(path, kind, compression), options=options(**how), resume=resume, reserve=granted))


def documents_in(pieces: list[Piece]) -> list[str | None]:
    """As a worker takes them out."""
    found: list[str | None] = []
    for piece in pieces:
        assert piece.task != "text"
        text, sizes, _ = unpack(memoryview(b"".join(piece.data)))
        ends = list(accumulate((max(size, 0) for size in sizes), initial=0))
        parts = [bytes(text[start:end]) for start, end in pairwise(ends)]
        if piece.task == "values":
            parsed = parse_values(parts, field="text", errors="strict")
            found += [parsed.text[start:end].decode() for start, end in pairwise(parsed.offsets)]
        else:
            found += [part.decode() if size >= 0 else None for part, size in zip(parts, sizes, strict=True)]
    return found
