"""The size of pages, read without pyarrow, against what pyarrow says of the same files."""

import os
from pathlib import Path
from typing import Any

import pytest

from oomguard.preparation.reading.parquet_head import largest_page, likely_text
from oomguard.preparation.reading.parquet_pages import read_chunk_pages
from oomguard.preparation.reading.source import Source
from oomguard.units import KIB, MIB

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

WORDS = "It was the best of times, it was the worst of times. "


def source(path: Path, field: str = "text") -> Source:
    return Source(
        path=str(path), kind="parquet", compression=None, size=path.stat().st_size, mtime_ns=0, text_field=field
    )


def texts(count: int = 3000) -> list[str]:
    return [f"{number} {WORDS}" * (1 + number % 50) for number in range(count)]


def table() -> Any:
    """The text is neither the first column nor the last, and one like it is inside another."""
    own = texts()
    return pa.table(
        {
            "id": range(len(own)),
            "meta": [{"url": "x", "text": text[:99]} for text in own],
            "tags": [["a", "b"]] * len(own),
            "text": own,
            "ok": [True] * len(own),
        }
    )


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("rows", [500, 3000])
@pytest.mark.parametrize(("field", "path"), [("text", "text"), ("meta.text", "meta.text"), ("body|text", "text")])
def test_pages_are_as_pyarrow_says(
    tmp_path: Path, codec: str, dictionary: bool, rows: int, field: str, path: str
) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(
        table(), file, compression=codec, use_dictionary=dictionary, row_group_size=rows, data_page_size=100 * KIB
    )
    with pq.ParquetFile(file) as opened, file.open("rb") as raw:
        group = opened.metadata.row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        (column,) = [one for one in columns if one.path_in_schema == path]
        pages = read_chunk_pages(raw, column)
    found = largest_page([source(file, field)])
    numbers = range(len(pages.pages))
    assert found == (max(map(pages.likely_need, numbers)), max(map(pages.text_of, numbers)))


def test_larger_pages_need_more(tmp_path: Path) -> None:
    """The largest of some files counts."""
    sizes = (MIB // 4, 2 * MIB)
    for size in sizes:
        file = tmp_path / f"{size}.parquet"
        pq.write_table(pa.table({"text": texts(6000)}), file, use_dictionary=False, data_page_size=size)
    found = [largest_page([source(tmp_path / f"{size}.parquet")]) for size in sizes]
    assert found[0] is not None and found[1] is not None
    assert sizes[0] <= found[0][1] < sizes[1] <= found[1][1]
    assert largest_page([source(tmp_path / f"{size}.parquet") for size in sizes]) == found[1]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 11, 200, 5000])
def test_what_is_no_parquet_file_is_not_known(tmp_path: Path, length: int) -> None:
    """A worker says what is wrong with it."""
    file = tmp_path / "a.parquet"
    pq.write_table(table(), file)
    data = file.read_bytes()
    for content in (data[:length], data[-length:], data[:-length] + bytes(length), b"\xff" * length):
        file.write_bytes(content)
        largest_page([source(file)])
    file.unlink()
    gone = Source(path=str(file), kind="parquet", compression=None, size=9, mtime_ns=0)
    assert largest_page([gone]) is None
    assert largest_page([]) is None


def test_a_column_that_is_not_there_is_not_known(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    assert largest_page([source(tmp_path / "a.parquet", "content")]) is None


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_the_text_is_about_what_the_footers_say(tmp_path: Path, compression: str) -> None:
    """Of all row groups, and of more files than are looked into; nothing is known where none has the column."""
    for number in range(20):
        pq.write_table(
            table(), tmp_path / f"{number}.parquet", compression=compression, row_group_size=700, use_dictionary=False
        )
    files = [source(path) for path in sorted(tmp_path.iterdir())]
    real = 20 * sum(map(len, texts()))
    found = likely_text(files)
    assert found is not None
    assert real <= found < 1.1 * real
    assert likely_text([source(tmp_path / "0.parquet", "none")]) is None
    (tmp_path / "0.parquet").write_bytes(b"PAR1" + b"\xff" * 100 + b"PAR1")
    assert likely_text([source(tmp_path / "0.parquet")]) is None


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    os.mkfifo(file)
    one = Source(path=str(file), kind="parquet", compression=None, size=1, mtime_ns=0, text_field="text")
    assert likely_text([one]) is None
    assert largest_page([one]) is None
