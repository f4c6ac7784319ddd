"""The same documents as every kind of input, and where each of them begins in it."""

import csv
import gzip
import io
import json
import random
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

SEPARATOR = "\n==\n"
DIVIDED = ("--separator", r"\n==\n")
Reader = Callable[[str, int], str]  # a source as provenance names it, a byte or row -> the document there


@cache
def some_documents(count: int = 2500) -> tuple[str, ...]:
    """Of many lengths; each is another one, but for the empty ones."""
    chance = random.Random(5)
    letters = "aeiou rstlnmdgh, .'-é字"
    words = ["".join(chance.choices(letters, k=chance.randrange(1, 9))) for _ in range(5000)]
    made = [" ".join(chance.choices(words, k=chance.choice([5, 50, 300]))) for _ in range(count)]
    return tuple("" if number % 97 == 5 else f"{number} {text}" for number, text in enumerate(made))


def write_kind(kind: str, folder: Path, documents: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Write an input of a kind; gives its name and the options that it takes."""
    name, write, _, options = KINDS[kind]
    write(folder / name, documents)
    return name, options


def document_at(kind: str, source: str, place: int) -> str:
    """The document that begins there."""
    return KINDS[kind][2](source, place)


def _lines(documents: tuple[str, ...]) -> bytes:
    return "".join(json.dumps({"n": 1, "text": text}, ensure_ascii=False) + "\n" for text in documents).encode()


def _write_array(path: Path, documents: tuple[str, ...]) -> None:
    path.write_text(json.dumps([{"text": text, "n": [1, {"text": "no"}]} for text in documents], indent=1))


def _write_csv(path: Path, documents: tuple[str, ...]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *([number, text] for number, text in enumerate(documents))])


def _write_parquet(path: Path, documents: tuple[str, ...]) -> None:
    pq.write_table(pa.table({"text": documents}), path, row_group_size=700, data_page_size=20_000)


def _write_arrow(
    path: Path, documents: tuple[str, ...], make: Any = pa.ipc.new_file, packed: str | None = None
) -> None:
    table = pa.table({"text": documents})
    with make(path, table.schema, options=pa.ipc.IpcWriteOptions(compression=packed)) as writer:
        writer.write_table(table, max_chunksize=100)


def _write_datasets(path: Path, documents: tuple[str, ...]) -> None:
    """As save_to_disk() of `datasets` does: two files, streams, beside what says so."""
    path.mkdir()
    half = len(documents) // 2
    for number, part in enumerate((documents[:half], documents[half:])):
        _write_arrow(path / f"data-{number:05d}-of-00002.arrow", part, pa.ipc.new_stream)
    files = [{"filename": f"data-{number:05d}-of-00002.arrow"} for number in range(2)]
    (path / "state.json").write_text(json.dumps({"_data_files": files, "_split": "train"}))
    (path / "dataset_info.json").write_text(json.dumps({"features": {"text": {"dtype": "string", "_type": "Value"}}}))


def _write_tar(path: Path, documents: tuple[str, ...]) -> None:
    """Most documents in files of lines, one of them compressed, the others each in a file of its own."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number in range(0, len(documents), 50):
            part = documents[number : number + 40]
            packed = number % 100 == 0
            data = gzip.compress(_lines(part), 1) if packed else _lines(part)
            _add(archive, f"{number:05d}.jsonl{'.gz' if packed else ''}", data)
            for one, text in enumerate(documents[number + 40 : number + 50], number + 40):
                _add(archive, f"{one:05d}.txt", text.encode() or b"\n")


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _write_warc(path: Path, documents: tuple[str, ...]) -> None:
    parts = [b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 6\r\n\r\na: b\r\n\r\n\r\n"]
    for text in documents:
        body = text.encode()
        head = f"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        parts += [gzip.compress(head.encode() + body + b"\r\n\r\n", 1)]
    path.write_bytes(gzip.compress(parts[0]) + b"".join(parts[1:]))


@cache
def _read(path: str) -> bytes:
    data = Path(path).read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


@cache
def _column(path: str) -> list[str]:
    if path.endswith(".parquet"):
        table = pq.read_table(path)
    else:
        is_file = Path(path).read_bytes().startswith(b"ARROW1")
        table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(pa.memory_map(path)).read_all()
    found: list[str] = table["text"].to_pylist()
    return found


def _text_at(source: str, place: int) -> str:
    data = _read(source)
    end = data.find(SEPARATOR.encode(), place)
    return data[place : len(data) if end < 0 else end].decode()


def _line_at(source: str, place: int) -> str:
    data = _read(source)
    assert not place or data[place - 1 : place] == b"\n"
    return _text_of(json.loads(data[place : data.index(b"\n", place)]))


def _value_at(source: str, place: int) -> str:
    return _text_of(json.JSONDecoder().raw_decode(_read(source)[place:].decode())[0])


def _text_of(value: dict[str, str]) -> str:
    return value["text"]


def _record_at(source: str, place: int) -> str:
    return next(csv.reader(io.StringIO(_read(source)[place:].decode(), newline="")))[1]


def _row_at(source: str, place: int) -> str:
    return _column(source)[place]


def _member_at(source: str, place: int) -> str:
    path, _, member = source.partition(": ")
    data = _members(path)[member]
    if member.endswith(".txt"):
        assert place == 0
        return "" if data == b"\n" else data.decode()
    return _text_of(json.loads(data[place : data.index(b"\n", place)]))


@cache
def _members(path: str) -> dict[str, bytes]:
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            data = file.read()
            found[member.name] = gzip.decompress(data) if member.name.endswith(".gz") else data
    return found


def _body_at(source: str, place: int) -> str:
    head, _, rest = _read(source)[place:].partition(b"\r\n\r\n")
    assert head.startswith(b"WARC/1.0\r\n")
    return rest[: int(head.rpartition(b": ")[2])].decode()


KINDS: dict[str, tuple[str, Callable[..., None], Reader, tuple[str, ...]]] = {
    "text": ("a.txt", lambda path, texts: path.write_bytes(SEPARATOR.join(texts).encode()), _text_at, DIVIDED),
    "text.gz": (
        "a.txt.gz",
        lambda path, texts: path.write_bytes(gzip.compress(SEPARATOR.join(texts).encode(), 1)),
        _text_at,
        DIVIDED,
    ),
    "jsonl": ("a.jsonl", lambda path, texts: path.write_bytes(_lines(texts)), _line_at, ()),
    "jsonl.gz": ("a.jsonl.gz", lambda path, texts: path.write_bytes(gzip.compress(_lines(texts), 1)), _line_at, ()),
    "array": ("a.json", _write_array, _value_at, ()),
    "csv": ("a.csv", _write_csv, _record_at, ()),
    "parquet": ("a.parquet", _write_parquet, _row_at, ()),
    "arrow": ("a.arrow", _write_arrow, _row_at, ()),
    "feather": ("a.feather", lambda path, texts: _write_arrow(path, texts, packed="lz4"), _row_at, ()),
    "datasets": ("saved", _write_datasets, _row_at, ()),
    "tar": ("a.tar.gz", _write_tar, _member_at, ()),
    "warc": ("a.warc.wet.gz", _write_warc, _body_at, ()),
}
