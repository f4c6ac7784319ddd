"""Arrow, JSON arrays, CSV, tar and WARC in, the same documents out, whatever the pieces and wherever one goes on."""

import codecs
import contextlib
import csv
import inspect
import io
import json
import lzma
import tarfile
import tempfile
from collections.abc import Callable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oomguard.errors import BadInput, BudgetTooSmall
from oomguard.preparation.reading.arrow_batches import iter_arrow, require_arrow_column
from oomguard.preparation.reading.arrow_messages import batch_places
from oomguard.preparation.reading.byte_stream import ByteStream, Transcoded
from oomguard.preparation.reading.csv_records import iter_csv
from oomguard.preparation.reading.json_values import iter_values
from oomguard.preparation.reading.line_stream import iter_lines
from oomguard.preparation.reading.lines import parse_values
from oomguard.preparation.reading.packed_streams import memory_ahead
from oomguard.preparation.reading.pieces import Piece, unpack
from oomguard.preparation.reading.source import Source
from oomguard.preparation.reading.tar_members import iter_tar
from oomguard.preparation.reading.text_stream import iter_text
from oomguard.preparation.reading.warc_records import iter_warc
from tests.preparation.reading.reads import PACKERS, granted, options
from tests.properties import examples

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
            _add(archive, f"../{'long' * 40}/{number}.jsonl", json.dumps({"text": one}).encode() + b"\n")
            _add(archive, "/etc/passwd.png", b"\x89PNG")
    return file.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
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


@pytest.mark.parametrize("count", [0, 5])
@pytest.mark.parametrize("make", [pa.ipc.new_file, pa.ipc.new_stream])
def test_a_column_of_no_type(tmp_path: Path, make: Any, count: int) -> None:
    """What pandas writes where a shard has no text at all."""
    path = tmp_path / "a.arrow"
    path.write_bytes(as_bytes(pa.table({"n": range(count), "text": pa.nulls(count)}), make))
    assert documents_in(read("arrow", path, errors="skip")) == [None] * count


def test_a_few_bytes_that_stand_for_a_billion_nulls_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    with pa.ipc.new_file(path, pa.schema([("text", pa.null())])) as writer:
        writer.write_batch(pa.record_batch({"text": pa.nulls(1_000_000_000)}))
    reader, kind, _ = KINDS["arrow"]
    how = options(errors="skip", piece_bytes=1 << 16)
    pieces = reader(source(path, kind), options=how, resume=None, reserve=granted)
    before = pa.total_allocated_bytes()
    next(pieces)
    assert pa.total_allocated_bytes() - before < 16 << 20
    pieces.close()


@pytest.mark.parametrize("name", KINDS)
@examples(40)
@given(found=documents, piece_bytes=st.integers(1, 300))
@example(found=["", "x"], piece_bytes=1)
def test_documents_in_are_documents_out(name: str, found: list[str], piece_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        path.write_bytes(KINDS[name][2](found))
        pieces = read(name, path, piece_bytes=piece_bytes)
        assert documents_in(pieces) == found
        for number, piece in enumerate(pieces):
            assert documents_in(read(name, path, resume=piece.resume, piece_bytes=piece_bytes)) == documents_in(
                pieces[number + 1 :]
            )


@pytest.mark.parametrize("name", ["array", "objects", "csv", "warc"])
@examples(60)
@given(found=documents, size=st.integers(1, 9))
@example(found=["\\\\" * 5, '"', "\\"], size=1)
def test_however_little_is_read_at_a_time(name: str, found: list[str], size: int) -> None:
    """A read may end anywhere: in an escape, before a quote, between two brackets."""
    module = inspect.getmodule(KINDS[name][0])
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(module, "_READ", size):
        path = Path(folder, "a")
        path.write_bytes(KINDS[name][2](found))
        assert documents_in(read(name, path)) == found


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name][1] != "arrow"])
def test_compressed(tmp_path: Path, name: str, packed: str) -> None:
    found = ["one", "two\n字", ""] * 5
    path = tmp_path / "a"
    path.write_bytes(PACKERS[packed](KINDS[name][2](found)))
    assert documents_in(read(name, path, compression=packed)) == found


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_cut_off_is_never_taken_for_a_whole_one(tmp_path: Path, name: str) -> None:
    """At any byte: an error, or where no format could tell (between two values), what is before that byte."""
    found = ["one", "two", "three", "four"]
    whole = KINDS[name][2](found)
    path = tmp_path / "a"
    told = 0
    for end in range(1, len(whole), 7 if len(whole) < 3000 else 31):  # a tar file is mostly zeros
        path.write_bytes(whole[:end])
        try:
            got = documents_in(read(name, path))
        except BadInput:
            told += 1
        else:
            if name in ("csv", "tsv"):
                got = got[:-1]  # the last field may be cut in its middle, which no reader of CSV can see
            assert got == found[: len(got)]
            assert len(got) < len(found) or name in ("objects", "warc", "stream", "tar")
    assert told or name in ("csv", "tsv")


def test_a_json_array_says_where_it_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ('[{"text": "a"} {"text": "b"}]', '[{"text": "a"},, 1]', '[,{"text": "a"}]', '{"text": "a"}]'):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"a\.json: value [0-9]+, at byte [0-9]+"):
            read("array", path)


LARGE = 'x"\n\\' * 75_000


@pytest.mark.parametrize("name", ["array", "objects", "csv", "warc", "arrow"])
def test_a_document_that_is_too_large_is_named_with_all_of_its_size(tmp_path: Path, name: str) -> None:
    """Although not all of it was read: the memory that it is said to need is what it does need."""
    path = tmp_path / "a"
    path.write_bytes(KINDS[name][2](["small", LARGE, "small"]))
    size = {
        "array": len(json.dumps({"n": [1, {"text": "no"}], "text": LARGE}, indent=1).replace("\n", "\n  ")) - 2,
        "objects": len(json.dumps({"text": LARGE, "n": '}"'}, indent=2)),
        "csv": len(as_csv([LARGE])) - len(as_csv([])),
    }.get(name, len(LARGE))
    with pytest.raises(BudgetTooSmall, match="longest that fits here") as caught:
        read(name, path, largest_document=100_000, piece_bytes=1000)
    copies = 13 if name == "csv" else 4
    assert abs((caught.value.alone or 0) - copies * size) < copies * 10
    asked: list[int] = []

    def allow(need: int, _: str) -> None:
        asked.append(need)
        if need > (caught.value.alone or 0):
            raise BudgetTooSmall(str(need), do="more")

    reader, kind, _ = KINDS[name]
    how = options(piece_bytes=1000, unasked=1000)
    pieces = list(reader(source(path, kind), options=how, resume=None, reserve=allow))
    assert documents_in(pieces) == ["small", LARGE, "small"]
    assert max(asked) > copies * 100_000
    (large,) = [piece for piece in pieces if sum(map(len, piece.data)) > len(LARGE)]
    assert len(unpack(memoryview(b"".join(large.data)))[1]) == 1, "a large one is a piece of its own"


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("1,a,b\n", ":2: 3 fields"),
        ('1,"a\n', "never closed"),
        ('1,"a"b\n', ":2: "),
        ("1\n", ":2: 1 field"),
    ],
)
def test_a_record_that_is_none(tmp_path: Path, rows: str, what: str) -> None:
    """Strict: refused with its line. Skip: left out; but for a quote that swallows the rest of the file."""
    path = tmp_path / "a"
    path.write_text(f"id,text\n{rows}2,fine\n")
    with pytest.raises(BadInput, match=what):
        read("csv", path)
    if what == "never closed":
        with pytest.raises(BadInput, match=what):
            read("csv", path, errors="skip")
        return
    assert documents_in(read("csv", path, errors="skip")) == [None, "fine"]


def test_columns_of_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("\ufeffid,text,text\n1,a,b\n")
    with pytest.raises(BadInput, match='2 columns "text"'):
        read("csv", path)
    path.write_text("\ufefftext,id\r\n\r\na,1\r\n")
    assert documents_in(read("csv", path)) == ["a"]
    path.write_text("body,id\na,1\n")
    with pytest.raises(BadInput, match='no column "text"; the columns are: "body", "id"'):
        read("csv", path)


def test_a_damaged_header_in_an_archive_is_no_end(tmp_path: Path) -> None:
    """Python's tarfile takes it for one."""
    data = bytearray(as_tar(["one", "two", "three"]))
    at = data.rfind(b"ustar")
    data[at - 50] ^= 1
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(BadInput, match="damaged or cut off"):
        read("tar", tmp_path / "a")


def test_archives_behind_each_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(as_tar(["one"]) + as_tar(["two"]))
    assert documents_in(read("tar", tmp_path / "a")) == ["one", "two"]


def test_fetched_pages_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(
        as_warc(["x"]).replace(b"conversion", b"response").replace(b"text/plain", b"text/html")
    )
    with pytest.raises(BadInput, match="response record of text/html"):
        read("warc", tmp_path / "a")


def test_streams_behind_each_other_and_what_is_none(tmp_path: Path) -> None:
    one = as_arrow(["one", "two"], pa.ipc.new_stream, None, pa.string())
    (tmp_path / "a").write_bytes(one + one)
    assert documents_in(read("stream", tmp_path / "a")) == ["one", "two"] * 2
    (tmp_path / "a").write_bytes(one + b"and more")
    with pytest.raises(BadInput, match="damaged"):
        read("stream", tmp_path / "a")


@pytest.mark.parametrize("make", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_damaged_schema_is_named_or_does_not_matter(tmp_path: Path, make: Any, flip: int) -> None:
    """Each byte of it in turn. A file is read by its second one, at the end; over a stream's, Arrow may end the process."""
    table = pa.table({"n": pa.array([{"a": 1}, {"a": 2}]), "text": ["one", "two"]})
    data = bytearray(as_bytes(table, make))
    begin = 8 if data.startswith(b"ARROW1") else 0
    path = tmp_path / "a"
    for at in range(begin, begin + 8 + int.from_bytes(data[begin + 4 : begin + 8], "little")):
        data[at] ^= flip
        path.write_bytes(data)
        data[at] ^= flip
        memory_ahead([source(path, "arrow")])
        with contextlib.suppress(BadInput):
            require_arrow_column(str(path), "text")
        with contextlib.suppress(BadInput):
            if begin:
                assert documents_in(read("arrow", path)) == ["one", "two"]


@pytest.mark.parametrize("make", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_a_damaged_batch_ends_no_process(tmp_path: Path, make: Any, flip: int) -> None:
    """Each byte of its message and of its places in turn: Arrow itself follows a place that is none out of the file."""
    table = pa.table({"n": pa.array([{"a": 1}, {"a": 2}]), "text": ["one", "two"]})
    data = bytearray(as_bytes(table, make))
    begin = 8 if data.startswith(b"ARROW1") else 0
    begin += 8 + int.from_bytes(data[begin + 4 : begin + 8], "little")
    for at in range(begin, data.index(b"onetwo")):
        data[at] ^= flip
        (tmp_path / "a").write_bytes(data)
        data[at] ^= flip
        memory_ahead([source(tmp_path / "a", "arrow")])
        with contextlib.suppress(BadInput):
            read("arrow", tmp_path / "a")


@pytest.mark.parametrize("is_dictionary", [False, True])
def test_no_batch_is_left_out_for_a_damaged_footer(tmp_path: Path, is_dictionary: bool) -> None:
    """Bits of each byte in turn. What it does not name would not be read, and what it names twice would be read twice."""
    words = [f"word {number}" for number in range(6)]
    column = pa.array(words).dictionary_encode() if is_dictionary else pa.array(words)
    table = pa.table({"text": column})
    file = io.BytesIO()
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    data = bytearray(file.getvalue())
    refused = 0
    for at in range(len(data) - 10 - int.from_bytes(data[-10:-6], "little"), len(data)):
        for bit in (0, 1, 3, 6):
            data[at] ^= 1 << bit
            (tmp_path / "a").write_bytes(data)
            data[at] ^= 1 << bit
            try:
                assert len(documents_in(read("arrow", tmp_path / "a"))) == 6, (at, bit)
            except BadInput:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize("first", [16, 64])
def test_a_file_that_is_aligned_otherwise_is_read(tmp_path: Path, first: int) -> None:
    """Arrow's Rust writers pad the magic to 64 bytes; memory for a compressed batch is asked for all the same."""
    words = ["x" * 1000] * 30_000
    table = pa.table({"text": words})
    file = io.BytesIO()
    with pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    data = file.getvalue()
    footer = len(data) - 10 - int.from_bytes(data[-10:-6], "little")
    (begin,) = batch_places(io.BytesIO(data), len(data))
    moved = data[footer:].replace(begin.to_bytes(8, "little"), (begin + first - 8).to_bytes(8, "little"))
    (tmp_path / "a").write_bytes(data[:8] + bytes(first - 8) + data[8:footer] + moved)
    assert documents_in(read("arrow", tmp_path / "a")) == words
    need, _ = memory_ahead([source(tmp_path / "a", "arrow")])
    assert need > 30_000_000


@pytest.mark.parametrize("is_dictionary", [False, True])
def test_text_that_is_no_utf8_is_no_damage(tmp_path: Path, is_dictionary: bool) -> None:
    """--errors says what becomes of it."""
    found = [b"\xff\xfe", b"x"]
    texts = pa.array(found).view(pa.string())
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), texts) if is_dictionary else texts
    (tmp_path / "a").write_bytes(as_bytes(pa.table({"text": column}), pa.ipc.new_file))
    (piece,) = read("arrow", tmp_path / "a")
    text, *_ = unpack(memoryview(b"".join(piece.data)))
    assert bytes(text) == b"\xff\xfex" + (b"\xff\xfe" if is_dictionary else b"")


@pytest.mark.parametrize("make", [pa.ipc.new_file, pa.ipc.new_stream])
def test_a_batch_that_is_decompressed_is_asked_for(tmp_path: Path, make: Any) -> None:
    """With the bytes that the column takes, and not those of other columns."""
    text = ["x" * 1000] * 30_000
    table = pa.table({"other": pa.array(["y" * 1000] * 30_000), "text": pa.array(text)})
    with make(str(tmp_path / "a"), table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    asked: list[int] = []
    how: dict[str, Any] = {"options": options(), "resume": None, "reserve": lambda size, _: asked.append(size)}
    pieces = list(iter_arrow(source(tmp_path / "a", "arrow"), **how))
    assert documents_in(pieces) == text
    assert 30_000_000 < max(asked) < 31_000_000
    at_start, what = memory_ahead([source(tmp_path / "a", "arrow")])
    assert at_start == max(asked)
    assert str(tmp_path / "a") in what


@pytest.mark.parametrize("kind", ["struct", "list", "dictionary", "union", "view", "null", "fixed"])
def test_columns_of_any_type_before_the_text_do_not_count(tmp_path: Path, kind: str) -> None:
    """Where one has an unknown number of buffers, all of them count."""
    count = 20_000
    before = {
        "struct": lambda: pa.array([{"a": "x" * 500, "b": {"c": number}} for number in range(count)]),
        "list": lambda: pa.array([["x" * 500, "y"]] * count),
        "dictionary": lambda: pa.array(["x" * 500] * count).dictionary_encode(),
        "union": lambda: pa.UnionArray.from_sparse(
            pa.array([0] * count, pa.int8()), [pa.array(["x" * 500] * count), pa.array(range(count))]
        ),
        "view": lambda: pa.array(["x" * 500] * count).cast(view_of_text()),
        "null": lambda: pa.nulls(count),
        "fixed": lambda: pa.array([[1.5, 2.5]] * count, pa.list_(pa.float64(), 2)),
    }[kind]()
    table = pa.table({"before": before, "text": ["x" * 1000] * count, "after": ["z" * 1000] * count})
    with pa.ipc.new_file(
        str(tmp_path / "a"), table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
    ) as writer:
        writer.write_table(table)
    need, _ = memory_ahead([source(tmp_path / "a", "arrow")])
    known = kind not in ("union", "view") or pa.types.is_string(before.type)
    assert need < 22_000_000 if known else need > 42_000_000
    assert documents_in(read("arrow", tmp_path / "a")) == ["x" * 1000] * count


def test_a_batch_that_is_not_compressed_takes_nothing(tmp_path: Path) -> None:
    """It is read where it lies: also from a file of which one column is wanted."""
    table = pa.table({"n": range(40_000), "text": ["x" * 1000] * 40_000})
    with pa.ipc.new_file(str(tmp_path / "a"), table.schema) as writer:
        writer.write_table(table)
    assert memory_ahead([source(tmp_path / "a", "arrow")]) == (0, "")
    before = pa.total_allocated_bytes()
    pieces = iter_arrow(source(tmp_path / "a", "arrow"), options=options(), resume=None, reserve=granted)
    next(pieces)
    assert pa.total_allocated_bytes() - before < 4_000_000


LONG_FRAME = b"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"  # RFC 8878: a window of 128 MiB, an empty block
LONG_WINDOW = 128 << 20


@pytest.mark.parametrize("member", ["a.jsonl.zst", "a.txt.zst", "a.jsonl.xz"])
def test_windows_within_an_archive_are_asked_for(tmp_path: Path, member: str) -> None:
    line = b'{"text": "one"}\n'
    data = LONG_FRAME + PACKERS["zst"](line) if member.endswith("zst") else lzma.compress(line, preset=9)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        _add(archive, member, data)
    asked: list[tuple[int, str]] = []
    pieces = list(
        iter_tar(
            source(tmp_path / "a.tar", "tar"),
            options=options(),
            resume=None,
            reserve=lambda size, where: asked.append((size, where)),
        )
    )
    assert b"one" in b"".join(part for piece in pieces for part in piece.data)
    ((size, where),) = asked
    assert size >= 64 << 20
    assert f"{member}: its " in where


@pytest.mark.parametrize("kind", ["jsonl", "txt"])
def test_a_long_line_is_asked_for_beside_the_windows_it_comes_from(tmp_path: Path, kind: str) -> None:
    """Of the member, and of the archive; which are asked for alone before, as the member's is beside the archive's."""
    line = b'{"text": "' + b"x" * 5000 + b'"}\n'

    def asked(*, member: bool, archive: bool) -> list[int]:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as made:
            _add(made, f"a.{kind}{'.zst' * member}", LONG_FRAME + PACKERS["zst"](line) if member else line)
        data = file.getvalue()
        (tmp_path / "a").write_bytes(LONG_FRAME + PACKERS["zst"](data) if archive else data)
        found: list[int] = []
        how: dict[str, Any] = {"options": options(piece_bytes=1000, unasked=1000), "resume": None}
        packed = source(tmp_path / "a", "tar", "zst" if archive else None)
        list(iter_tar(packed, reserve=lambda size, _: found.append(size), **how))
        return found

    plain = asked(member=False, archive=False)
    assert plain[-1] >= 3 * len(line)
    window, both = LONG_WINDOW, 2 * LONG_WINDOW
    assert asked(member=True, archive=False) == [window, *(window + size for size in plain)]
    assert asked(member=False, archive=True) == [window, *(window + size for size in plain)]
    assert asked(member=True, archive=True) == [window, both, *(both + size for size in plain)]


def test_the_window_of_a_further_frame_counts_beside_a_long_line(tmp_path: Path) -> None:
    """As that of the first does: it is asked for when it is reached, and stays."""
    line, usual = b'{"text": "' + b"x" * 5000 + b'"}\n', PACKERS["zst"](b"{}\n")
    (tmp_path / "a").write_bytes(usual + LONG_FRAME + PACKERS["zst"](line))
    asked: list[int] = []
    how: dict[str, Any] = {"options": options(piece_bytes=1000, unasked=1000), "resume": None}
    list(iter_lines(source(tmp_path / "a", "jsonl", "zst"), reserve=lambda size, _: asked.append(size), **how))
    assert asked[0] == LONG_WINDOW
    assert asked[-1] >= LONG_WINDOW + 4 * len(line)


@pytest.mark.parametrize("packed", ["xz", "zst"])
def test_windows_are_known_at_the_start(tmp_path: Path, packed: str) -> None:
    """As the reader asks for them when it opens the file."""
    path = tmp_path / f"a.jsonl.{packed}"
    if packed == "xz":
        path.write_bytes(lzma.compress(b"{}\n", preset=9))
    else:
        path.write_bytes(LONG_FRAME)
    (tmp_path / "b.jsonl.gz").write_bytes(PACKERS["gz"](b"{}\n"))
    asked: list[int] = []
    with ByteStream(source(path, "jsonl", packed), reserve=lambda size, _: asked.append(size)):
        pass
    need, what = memory_ahead([source(tmp_path / "b.jsonl.gz", "jsonl", "gz"), source(path, "jsonl", packed)])
    assert [need] == asked
    assert need >= 64 << 20
    assert what == f"the {packed} dictionary of {path}"


@examples(60)
@given(
    text=st.text(st.sampled_from("aé\n字ソ漢"), max_size=40),
    encoding=st.sampled_from(["utf-16", "utf-16-be", "gb18030", "shift_jis", "utf-32"]),
    size=st.integers(1, 9),
)
def test_other_encodings(text: str, encoding: str, size: int) -> None:
    """Whole, and the exact place of a byte that is wrong."""
    text = text.encode(encoding, "ignore").decode(encoding)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        path.write_bytes(text.encode(encoding))
        with ByteStream(source(path, "text"), reserve=granted) as raw:
            stream = Transcoded(raw, encoding, "a")
            assert b"".join(iter(lambda: stream.read(size), b"")) == text.encode()


def test_the_place_of_a_byte_that_is_wrong(tmp_path: Path) -> None:
    good = "漢字" * 1000
    for encoding, bad in [("gbk", b"\xff"), ("cp1252", b"\x81"), ("utf-16-le", b"\x00\xdc\x00\x00")]:
        (tmp_path / "a").write_bytes(good.encode(encoding, "replace") + bad)
        at = len(good.encode(encoding, "replace"))
        with pytest.raises(BadInput, match=rf"byte {at}: not {encoding}"):
            list(
                iter_text(
                    source(tmp_path / "a", "text", encoding=codecs.lookup(encoding).name),
                    options=options(),
                    resume=None,
                    reserve=granted,
                )
            )


def test_csv_goes_on_far_behind_its_header(tmp_path: Path) -> None:
    """Also where more was read with the header than lies before the place, and where less was."""
    found = [f"{number} " + "word, " * (number % 300) for number in range(2000)]
    (tmp_path / "a.csv").write_bytes(as_csv(found))
    pieces = read("csv", tmp_path / "a.csv", piece_bytes=1 << 17)
    assert documents_in(pieces) == found
    for number, piece in enumerate(pieces[:-1]):
        rest = read("csv", tmp_path / "a.csv", piece_bytes=1 << 17, resume=piece.resume)
        assert documents_in([*pieces[: number + 1], *rest]) == found


def test_members_of_a_tar_that_are_passed_over_are_counted_and_named(tmp_path: Path) -> None:
    """Also by a run that goes on in the middle of the archive, which has not seen all of them."""
    found = [f"{number} " * 50 for number in range(20)]
    (tmp_path / "a.tar").write_bytes(as_tar(found))
    notes: list[str] = []
    pieces = read("tar", tmp_path / "a.tar", note=notes.append)
    read("tar", tmp_path / "a.tar", note=notes.append, resume=pieces[9].resume)
    assert notes == [f"{tmp_path / 'a.tar'}: ignored: 20 members (.png)"] * 2


def test_what_macos_writes_beside_each_file_of_a_tar_is_no_text(tmp_path: Path) -> None:
    """AppleDouble: the attributes of x.txt, as ._x.txt. In a folder they are hidden files."""
    members = {
        "d/._x.txt": b"\0\5\x16\7\0\2\0\0Mac OS X",
        "d/x.txt": b"one",
        "d/._y.jsonl": b"\0\5\x16\7",
        "d/_.txt": b"two",
    }
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    notes: list[str] = []
    pieces = read("tar", tmp_path / "a.tar", note=notes.append)
    assert [piece.member for piece in pieces] == ["d/x.txt", "d/_.txt"]
    assert notes == [f"{tmp_path / 'a.tar'}: ignored: 2 members (._*)"]
