"""JSON arrays, CSV, tar, WARC and Arrow in, the same documents out, whatever the pieces and wherever one goes on."""

import codecs
import inspect
import json
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oomguard.errors import BadInput, BudgetTooSmall
from oomguard.preparation.reading.byte_stream import ByteStream, Transcoded
from oomguard.preparation.reading.pieces import unpack
from oomguard.preparation.reading.text_stream import iter_text
from tests.preparation.reading.made_files import (
    KINDS,
    as_csv,
    as_warc,
    documents,
    documents_in,
    read,
    source,
)
from tests.preparation.reading.reads import PACKERS, granted, options
from tests.properties import examples


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


def test_fetched_pages_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(
        as_warc(["x"]).replace(b"conversion", b"response").replace(b"text/plain", b"text/html")
    )
    with pytest.raises(BadInput, match="response record of text/html"):
        read("warc", tmp_path / "a")


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
