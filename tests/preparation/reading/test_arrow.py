"""Arrow files and streams: what is damaged, or asks for memory, or is written otherwise."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pytest

from oomguard.errors import BadInput
from oomguard.preparation.reading.arrow_batches import iter_arrow, require_arrow_column
from oomguard.preparation.reading.arrow_messages import batch_places
from oomguard.preparation.reading.packed_streams import memory_ahead
from oomguard.preparation.reading.pieces import unpack
from tests.preparation.reading.made_files import (
    KINDS,
    as_arrow,
    as_bytes,
    documents_in,
    read,
    source,
    view_of_text,
)
from tests.preparation.reading.reads import granted, options


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
