"""Parquet in, the same documents out: any row groups, pages, types of column, and place to go on from."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import BadInput, Changed
from tests.preparation.reading.reads import check_every_resume, documents_in, read, skipped_in
from tests.properties import examples

texts = st.lists(
    st.one_of(st.sampled_from(["", "a", "one two three ", "word " * 60, "漢字 かな", "\n\n"]), st.text(max_size=30)),
    max_size=40,
)


def write(path: Path, documents: list[Any], kind: Any = None, **how: Any) -> None:
    pq.write_table(
        pa.table({"id": range(len(documents)), "text": pa.array(documents, kind or pa.string())}), path, **how
    )


@examples(100)
@given(
    documents=st.lists(texts, max_size=3).map(lambda lists: [text for some in lists for text in some]),
    nulls=st.sets(st.integers(0, 100), max_size=4),
    piece_bytes=st.integers(1, 500),
    most=st.integers(1, 2000),
    how=st.fixed_dictionaries(
        {
            "row_group_size": st.integers(1, 60),
            "data_page_size": st.sampled_from([1, 200, 1 << 20]),
            "write_batch_size": st.sampled_from([1, 7, 1024]),
            "dictionary_pagesize_limit": st.sampled_from([1, 100, 1 << 20]),
            "use_dictionary": st.booleans(),
            "compression": st.sampled_from(["none", "snappy", "zstd", "gzip", "lz4", "brotli"]),
            "data_page_version": st.sampled_from(["1.0", "2.0"]),
        }
    ),
)
def test_documents_in_are_documents_out(
    documents: list[str], nulls: set[int], piece_bytes: int, most: int, how: dict[str, Any]
) -> None:
    written = [None if number in nulls else text for number, text in enumerate(documents)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.parquet")
        write(path, written, **how)
        pieces = read(path, "parquet", piece_bytes=piece_bytes, errors="skip", most=most)
        assert documents_in(pieces) == [text.encode() for text in written if text is not None]
        assert skipped_in(pieces) == written.count(None)
        check_every_resume(path, "parquet", pieces, piece_bytes=piece_bytes, errors="skip", most=most)


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)
def test_columns_of_text(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "a.parquet"
    written = ["one", "", "zwei é", "one", None, "words " * 100]
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    array = pa.array([text if text is None else text.encode() for text in written], pa.binary()).cast(pa.string())
    try:
        array = array.dictionary_encode().cast(kind) if plain is not kind else array.cast(kind)
    except pa.ArrowNotImplementedError:
        pytest.skip(f"this pyarrow makes no {kind}: {pa.__version__}")
    pq.write_table(pa.table({"text": array}), path)
    pieces = read(path, "parquet", errors="skip", piece_bytes=100)
    assert documents_in(pieces) == [text.encode() for text in written if text is not None]


@pytest.mark.parametrize("count", [0, 3])
def test_a_column_of_no_type(tmp_path: Path, count: int) -> None:
    """What pandas writes where a shard has no text at all: as any that is empty, or full of nulls."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": range(count), "text": pa.nulls(count)}), path)
    pieces = read(path, "parquet", errors="skip")
    assert documents_in(pieces) == []
    assert skipped_in(pieces) == count


def test_fixed_width_values(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(path, [b"abc", b"def"], pa.binary(3))
    assert documents_in(read(path, "parquet")) == [b"abc", b"def"]


def test_a_name_with_a_dot(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["no"], "raw.text": ["yes"]}), path)
    assert documents_in(read(path, "parquet", field="raw.text")) == [b"yes"]
    pq.write_table(pa.table({"raw": [{"n": 1, "text": "no"}], "raw.text": ["yes"]}), path)
    assert documents_in(read(path, "parquet", field="raw.text")) == [b"yes"]


@pytest.mark.parametrize("pages", [16, 1 << 20])
@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_column_in_a_column(tmp_path: Path, pages: int, codec: str) -> None:
    """Null at each depth; beside lists and structs, which are leaves of the file, too; the first of several."""
    path = tmp_path / "a.parquet"
    rows: list[Any] = [
        {"x": {"text": "one"}, "y": [1, 2]}, {"x": {"text": ""}, "y": []}, {"x": {"text": "three"}, "y": [3]},
    ] * 40  # fmt: skip
    holes: list[Any] = [None, {"x": None, "y": []}, {"x": {"text": None}, "y": []}]
    lists = pa.array([[{"a": 1, "b": 2}]] * (len(rows) + 3))
    table = pa.table({"before": lists, "meta": pa.array(rows + holes), "text": ["no"] * len(lists)})
    pq.write_table(table, path, data_page_size=pages, compression=codec, row_group_size=50)
    expected = [row["x"]["text"].encode() for row in rows]
    for field in ("meta.x.text", "body|meta.x.text|text"):
        chunks = read(path, "parquet", field=field, errors="skip", piece_bytes=100)
        assert documents_in(chunks) == expected
        assert skipped_in(chunks) == 3


@pytest.mark.parametrize(
    ("table", "field", "problem"),
    [
        ({"content": ["a"], "id": [1]}, "text", 'no column "text"; the columns are: "content", "id"'),
        ({"text": [1, 2]}, "text", 'the column "text" holds int64, not strings'),
        ({"text": [["a"], ["b"]]}, "text", 'the column "text" holds list<element: string>, not strings'),
        ({"text": [{"a": "b"}]}, "text.c", 'no column "text.c"; the columns are: "text"'),
        ({f"c{i}": [1] for i in range(20)}, "text", '"c10", "c11", ...'),
    ],
)
def test_a_column_that_is_not_there(tmp_path: Path, table: dict[str, Any], field: str, problem: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(table), path)
    with pytest.raises(BadInput) as caught:
        read(path, "parquet", field=field)
    assert problem in str(caught.value)
    assert "--text-field" in caught.value.do


def test_nulls_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(path, ["a", "b", "c", "d", "e", None], row_group_size=4)
    for errors in ("strict", "replace"):
        with pytest.raises(BadInput, match=r'a\.parquet: row group 1, row 1: null in the column "text"'):
            read(path, "parquet", errors=errors)


@pytest.mark.parametrize("kept", [0, 3, 100, -1, -2000])
def test_a_file_that_was_cut_off(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.parquet"
    write(path, [os.urandom(3000).hex()] * 3)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInput, match=r"a\.parquet: reading its footer: damaged or cut off, or not a Parquet file"):
        read(path, "parquet")


def test_a_file_with_damage_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(path, [os.urandom(3000).hex()] * 3, compression="zstd")
    data = bytearray(path.read_bytes())
    for at in range(4, 400):
        data[at] = 255
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"a\.parquet: row group 0, row 0: row group 0: damaged"):
        read(path, "parquet")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read(tmp_path / "a.parquet", "parquet")


def test_fewer_row_groups_than_before(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(path, ["a"])
    with pytest.raises(Changed, match="1 row groups; the earlier run had read 5"):
        read(path, "parquet", resume={"row_group": 5, "row": 0})


def test_the_first_row_of_each_chunk_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(path, [f"{i:03}" for i in range(100)], row_group_size=30)
    for most in (3, 100, 500):
        for chunk in read(path, "parquet", most=most):
            number = int(chunk.documents[0])
            assert chunk.where == f"{path}: row group {number // 30}, row {number % 30}"


@pytest.mark.parametrize("dictionary", [True, False])
def test_no_chunk_has_more_text_than_it_may(tmp_path: Path, dictionary: bool) -> None:
    path = tmp_path / "a.parquet"
    large = "some words " * 10_000
    write(path, ["a"] * 3000 + [large] + ["b"] * 3000, use_dictionary=dictionary, dictionary_pagesize_limit=10_000)
    chunks = read(path, "parquet", piece_bytes=1 << 16, most=1000)
    assert documents_in(chunks) == [b"a"] * 3000 + [large.encode()] + [b"b"] * 3000
    sizes = [sum(map(len, chunk.documents)) for chunk in chunks]
    assert all(size <= 1000 or len(chunk.documents) == 1 for size, chunk in zip(sizes, chunks, strict=True))


def test_one_value_used_often_makes_no_large_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dictionary turns a few bytes of numbers into any amount of text."""
    path = tmp_path / "a.parquet"
    documents = ["word " * 40_000, *(f"small {i % 300}" for i in range(5000))] + ["word " * 40_000] * 700
    write(path, documents)
    assert path.stat().st_size < 200_000
    batches: list[int] = []
    real = pq.ParquetFile.iter_batches

    def spy(self: Any, **how: Any) -> Any:
        for batch in real(self, **how):
            batches.append(batch.nbytes)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    total = sum(len(text) for text in documents_in(read(path, "parquet", most=8 << 20)))
    assert total > 140_000_000
    assert max(batches) < 9 << 20


def test_one_large_value_among_many_small_ones_costs_no_batch_for_each_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean of a dictionary of two says nothing of the text that its numbers stand for."""
    path = tmp_path / "a.parquet"
    small, large = "a little text that is there again and again", "some words " * 400_000
    documents = [small] * 9000 + [large] + [small] * 5000 + [None] + [small] * 4000
    write(path, documents)
    batches: list[int] = []
    real = pq.ParquetFile.iter_batches

    def spy(self: Any, **how: Any) -> Any:
        for batch in real(self, **how):
            batches.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    allocated = pa.default_memory_pool().max_memory()
    chunks = read(path, "parquet", errors="skip", most=8 << 20)
    assert documents_in(chunks) == [text.encode() for text in documents if text is not None]
    assert len(batches) < 50
    assert pa.default_memory_pool().max_memory() < allocated + (200 << 20)


def test_fineweb_is_read_as_pyarrow_reads_it() -> None:
    if "OOMGUARD_DATA" not in os.environ:
        pytest.skip("needs the FineWeb sample: set OOMGUARD_DATA to the folder with corpora/fineweb")
    path = min(Path(os.environ["OOMGUARD_DATA"], "corpora", "fineweb").glob("*.parquet"))
    expected = [text.encode() for text in pq.read_table(path, columns=["text"]).column(0).to_pylist()]
    pieces = read(path, "parquet")
    assert documents_in(pieces) == expected
    middle = len(pieces) // 2
    assert documents_in(read(path, "parquet", resume=pieces[middle].resume)) == documents_in(pieces[middle + 1 :])
