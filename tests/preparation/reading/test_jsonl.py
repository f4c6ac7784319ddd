"""JSON Lines in, the same documents out, whatever the size of pieces and wherever reading is broken off."""

import contextlib
import json
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oomguard.errors import BadInput, BudgetTooSmall, Changed
from oomguard.preparation.encoding.native import CoreUnavailable
from oomguard.preparation.engines.problems import LineTooLong
from oomguard.preparation.reading import lines as line_parser
from oomguard.preparation.reading.line_stream import iter_lines
from tests.preparation.reading.reads import PACKERS, check_every_resume, documents_in, options, read, skipped_in, source
from tests.properties import examples

words = st.lists(st.sampled_from(["a", "bc ", "d e f ", "1", "\n", "é", "漢字", "😀 ", '"', "\\", "\t", "\x7f"])).map(
    "".join
)
texts = st.one_of(words, st.text(st.characters(codec="utf-8"), max_size=40))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
objects = st.dictionaries(st.text(max_size=4), values, max_size=3)


@st.composite
def lines(draw: st.DrawFn, text: st.SearchStrategy[str] = texts) -> tuple[str, str]:
    """One line, written in one of many ways, and its document."""
    document = draw(text)
    fields = {**draw(objects), "text": document, **draw(objects)}
    fields["text"] = document
    line = json.dumps(
        fields,
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")])),
    )
    before, after = draw(st.sampled_from([("", ""), (" ", ""), ("", " \t"), ("\n", ""), ("", "\r"), ("\r\n \n", "")]))
    return before + line + after, document


def tiktoken_bytes(text: str) -> bytes:
    """What tiktoken encodes for a text, lone surrogates or not."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


@examples(150)
@given(
    written=st.lists(lines(), max_size=12),
    last=st.sampled_from(["\n", "", "\r\n", "\n\n"]),
    piece_bytes=st.integers(1, 300),
    bom=st.booleans(),
)
def test_documents_in_are_documents_out(written: list[tuple[str, str]], last: str, piece_bytes: int, bom: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        body = "\n".join(line for line, _ in written) + last
        path.write_bytes(b"\xef\xbb\xbf" * bom + body.encode())
        pieces = read(path, "jsonl", piece_bytes=piece_bytes)
        assert documents_in(pieces) == [text.encode() for _, text in written]
        check_every_resume(path, "jsonl", pieces, piece_bytes=piece_bytes)
        again = read(path, "jsonl", piece_bytes=piece_bytes, errors="skip")
        assert documents_in(again) == documents_in(pieces)


@examples(150)
@given(written=st.lists(lines(st.text(st.characters(exclude_categories=[]), max_size=20)), min_size=1, max_size=6))
@example(written=[('{"text": "\\ud83d\\ud83d\\ude00\\ude00"}', "\ud83d\U0001f600\ude00")])
@example(written=[('{"text": 1, "text": "b"}', "b")])
@example(written=[('{"text": "a", "n": 1e999, "m": ' + "1" * 5000 + "}", "a")])
@example(
    written=[('{"text": "a", "n": ' + "[" * 100_000 + "]" * 100_000 + "}", "a"), ('{"text": "\\udc00"}', "\udc00")]
)
def test_both_parsers_read_the_same(written: list[tuple[str, str]]) -> None:
    """msgspec, a block or a line at a time, and Python's json: lone surrogates, equal keys, long numbers and deep lists as well."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_bytes("\n".join(line for line, _ in written).encode("utf-8", "replace"))
        expected = [tiktoken_bytes(json.loads(json.dumps(text))) for _, text in written]
        if any("\udc00" <= c <= "\udfff" or "\ud800" <= c <= "\udbff" for line, _ in written for c in line):
            return  # a surrogate that was not escaped is no UTF-8
        assert documents_in(read(path, "jsonl")) == expected
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(line_parser, "_as_one_block", lambda *_: None)
            assert documents_in(read(path, "jsonl")) == expected
            real = line_parser._at_once
            # It is asked again for what Python's own decoder gives up on.
            patch.setattr(line_parser, "_at_once", lambda data, field: real(data, field) if b"[[[" in data else None)
            assert documents_in(read(path, "jsonl")) == expected


def test_an_object_over_two_lines_is_refused_in_any_block(tmp_path: Path) -> None:
    """A parser of whole blocks would take it, and two objects on one line too."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"} {"text": "b"}\n{"text":\n"c"}\n')
    with pytest.raises(BadInput, match=r"a\.jsonl:1: not JSON: Extra data, at character 15"):
        read(path, "jsonl")


TORN = ['{"text": "a"}', '{"text":"b\\n"}', "\n", "\n", "\n", "\r\n", "{", "}", '"', ",", ":", "[", "]", "[]", "{}", "}\n{", '"text"',
        '"text":', '"é"', " ", "1", "null", "\\", '{"text": 1}', '{"text": "a", "text": "c"}', '{"u": {"text": "d"}}', "\ufeff",
        '{"n": [{"a": 1},{', '{"text": "\\ud83d"}', '"}\n{"', '{"n": {}']  # fmt: skip


@examples(500)
@given(
    parts=st.lists(st.sampled_from(TORN), max_size=10),
    field=st.sampled_from(["text", "u.text", "n"]),
    errors=st.sampled_from(["strict", "skip", "replace"]),
    bad=st.sampled_from([b"", b"", b"", b"\xff"]),
)
@example(parts=['{"text": "a", "n": {}', "\n", '{"text": "b"}'], field="text", errors="strict", bad=b"")
@example(parts=['{"text": "a"}{"text": "b"}', "\n", "{}"], field="text", errors="strict", bad=b"")
@example(
    parts=['{"text": "a"} {"text": "b"}', "\n", '{"text": [{}', "\n", '{"text": "b"}]}'],
    field="text",
    errors="skip",
    bad=b"",
)
def test_a_block_is_what_its_lines_are(parts: list[str], field: str, errors: str, bad: bytes) -> None:
    """Documents, what is left out, and what is said of the first line that is wrong."""
    data = bad.join(part.encode() for part in parts)

    def outcome() -> Any:
        try:
            found = line_parser.parse_lines(data, field=field, errors=errors, at_start=True)
        except line_parser.BadLine as problem:
            return problem.row, problem.what, problem.do
        return found.text, list(found.offsets), list(found.rows), found.bad, found.lines

    together = outcome()
    with mock.patch.object(line_parser, "_as_one_block", return_value=None):
        assert outcome() == together


@pytest.mark.parametrize("name", PACKERS)
def test_compressed(tmp_path: Path, name: str) -> None:
    """Members, frames and streams that follow each other are one stream, empty ones too."""
    path = tmp_path / "a.jsonl"
    halves = [b'{"text": "one"}\n{"text": "tw', b'o"}\n{"text": ""}\n']
    path.write_bytes(PACKERS[name](halves[0]) + PACKERS[name](b"") + PACKERS[name](halves[1]))
    for piece_bytes in (5, 1 << 20):
        pieces = read(path, "jsonl", compression=name, piece_bytes=piece_bytes)
        assert documents_in(pieces) == [b"one", b"two", b""]
        check_every_resume(path, "jsonl", pieces, compression=name, piece_bytes=piece_bytes)


@pytest.mark.parametrize("name", PACKERS)
def test_truncated_compression(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.jsonl"
    noise = np.random.default_rng(1).integers(97, 123, 300_000, np.uint8).tobytes().decode()
    packed = PACKERS[name](json.dumps({"text": noise}).encode() + b"\n")
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(
        BadInput,
        match=r"a\.jsonl: damaged or cut off (within the next [0-9.]+ [KM]iB )?after [0-9]+ bytes of decompressed text",
    ) as caught:
        read(path, "jsonl", compression=name)
    assert " -t " in caught.value.do


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("hello", "a.jsonl:2: not JSON: Expecting value, at character 1"),
        ('{"text": "a"', "a.jsonl:2: not JSON: Expecting ',' delimiter, at character 13"),
        ("[1, 2]", "a.jsonl:2: a JSON array, not an object"),
        ("7", "a.jsonl:2: a number, not an object"),
        ('{"content": "a", "id\\u001b": 1}', 'a.jsonl:2: no field "text"; the fields are: "content", "id\\x1b"'),
        ("{}", 'a.jsonl:2: no field "text"; the fields are: none'),
        ('{"text": null}', 'a.jsonl:2: the field "text" is null, not a string'),
        ('{"text": 5}', 'a.jsonl:2: the field "text" is a number, not a string'),
        ('{"text": ["a"]}', 'a.jsonl:2: the field "text" is a JSON array, not a string'),
        ('{"text": "a\tb"}', "a.jsonl:2: not JSON: Invalid control character at, at character 12"),
    ],
)
def test_bad_lines(tmp_path: Path, line: str, problem: str) -> None:
    """Named when strict; left out and counted when skipped, in whatever block they are."""
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "one"}}\n{line}\n{{"text": "two"}}\n{line}\n')
    with pytest.raises(BadInput) as caught:
        read(path, "jsonl")
    assert str(caught.value) == f"{tmp_path}/{problem}"
    for piece_bytes in (1, 30, 1 << 20):
        pieces = read(path, "jsonl", errors="skip", piece_bytes=piece_bytes)
        assert documents_in(pieces) == [b"one", b"two"]
        assert skipped_in(pieces) == 2
        check_every_resume(path, "jsonl", pieces, errors="skip", piece_bytes=piece_bytes)


def test_a_file_that_is_one_array(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('[\n{"text": "a"}\n]')
    with pytest.raises(BadInput, match=r"a\.jsonl:1: not JSON"):
        read(path, "jsonl")
    path.write_text('[{"text": "a"}]')
    with pytest.raises(BadInput, match=r"a\.jsonl:1: a JSON array, not an object") as caught:
        read(path, "jsonl")
    assert "--input-format json" in caught.value.do


def test_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    """Strict: refused with line and byte. Else the encoder gets them as they are, from either parser."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "one"}\n{"text": "\xc3\xa9\xff"}\n')
    with pytest.raises(BadInput, match=r"a\.jsonl:2: not UTF-8 at byte 12 of the line"):
        read(path, "jsonl")
    assert documents_in(read(path, "jsonl", errors="replace")) == [b"one", b"\xc3\xa9\xff"]
    path.write_bytes(b'{"text": "one"}\n{"text": "\xc3\xa9\xff"}\n{"text": "\\ud800"}')
    assert documents_in(read(path, "jsonl", errors="skip")) == [b"one", b"\xc3\xa9\xff", "�".encode()]


@pytest.mark.parametrize("piece_bytes", [1, 1 << 16])
def test_the_first_line_that_is_wrong_is_named(tmp_path: Path, piece_bytes: int) -> None:
    """Also before one that is not UTF-8, which is known without a parser."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\nno JSON\n{"text": "\xff"}\n')
    with pytest.raises(BadInput, match=r"a\.jsonl:2: not JSON"):
        read(path, "jsonl", piece_bytes=piece_bytes)


def test_escaped_surrogates_beside_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    """Such an escape is U+FFFD, as in a line that is UTF-8; it makes no byte of its own, and no character with others."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(rb'{"text": "\ud800 \\udc80 \udcc3\udca9 \ud83d\ude00 \"' + b"\xff\xe4\xb8" + rb'\udc80"}')
    [document] = documents_in(read(path, "jsonl", errors="replace"))
    assert document == '� \\udc80 �� \U0001f600 "'.encode() + b"\xff\xe4\xb8" + "�".encode()


def test_the_first_line_of_each_chunk_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n\n" + "\n".join(json.dumps({"text": f"{i:03}"}) for i in range(40)))
    for piece_bytes in (1, 7, 200, 5000):
        for chunk in read(path, "jsonl", piece_bytes=piece_bytes):
            if chunk.documents and chunk.where != "line 1":
                assert chunk.where == f"line {int(chunk.documents[0]) + 3}"


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_a_large_line_is_a_chunk_of_its_own(tmp_path: Path, character: str) -> None:
    path = tmp_path / "a.jsonl"
    large = "word " * 100_000 + character * 5 + " word" * 100_000
    body = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in ("one", large, "two")).encode()
    path.write_bytes(body)
    chunks = read(path, "jsonl", piece_bytes=1 << 16)
    assert [chunk.documents for chunk in chunks] == [[b"one"], [large.encode()], [b"two"]]
    check_every_resume(path, "jsonl", chunks, piece_bytes=1 << 16)
    with pytest.raises(LineTooLong) as caught:
        read(path, "jsonl", piece_bytes=1 << 16, longest=1 << 18)
    assert caught.value.size == len(large.encode()) + 13


def test_a_large_line_of_a_stream_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    large = "word " * 200_000
    body = "".join(json.dumps({"text": text}) + "\n" for text in ("one", large, "two")).encode()
    path.write_bytes(PACKERS["gz"](body))
    asked: list[tuple[int, str]] = []
    how = options(piece_bytes=1 << 16, unasked=1 << 18)
    pieces = list(
        iter_lines(source(path, "jsonl", "gz"), options=how, resume=None, reserve=lambda *ask: asked.append(ask))
    )
    assert b"".join(part for piece in pieces for part in piece.data) == body
    assert {where for _, where in asked} == {f"{path}: line 2"}
    assert max(asked)[0] >= 4 * len(large)


def test_a_refused_line_is_named_with_its_size(tmp_path: Path) -> None:
    """The reader reads on to the end of the line to tell its size, without holding it."""
    path = tmp_path / "a.jsonl.gz"
    text = '{"text": "one"}\n' + json.dumps({"text": "word " * 200_000}) + '\n{"text": "two"}\n'
    path.write_bytes(PACKERS["gz"](text.encode()))
    size = 200_000 * 5 + 13
    asked: list[int] = []

    def refuse(need: int, where: str) -> None:
        asked.append(need)
        raise BudgetTooSmall(f"{where} needs {need}", do="more")

    how = options(piece_bytes=1 << 12, unasked=1 << 14)
    pieces = iter_lines(source(path, "jsonl", "gz"), options=how, resume=None, reserve=refuse)
    assert b"".join(next(pieces).data) == b'{"text": "one"}\n'
    with pytest.raises(BudgetTooSmall, match=r"a\.jsonl\.gz: line 2 is 977 KiB long") as caught:
        next(pieces)
    assert caught.value.alone == 4 * size
    with pytest.raises(BudgetTooSmall, match=r"line 2 is 977 KiB long and needs 3\.8 MiB of memory"):
        read(path, "jsonl", compression="gz", piece_bytes=1 << 12, longest=1 << 14)


def test_a_changed_input_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n')
    path.write_bytes(PACKERS["gz"](path.read_bytes()))
    with pytest.raises(Changed, match="it has only 14 bytes, but the earlier run had read 100"):
        read(path, "jsonl", compression="gz", resume={"offset": 100, "line": 9})


@pytest.mark.parametrize("text", ["", "\n \n\r\n", "\ufeff"])
def test_nothing_in_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    assert documents_in(read(path, "jsonl")) == []


@examples(400)
@given(
    text=st.lists(
        st.sampled_from(["a", " ", "\\", '"', "\n", "é", "字", "🙂", "\ud83d", "\ude00", "\\ ", "\u2028", "  "]),
        max_size=30,
    ).map("".join),
    field=st.sampled_from(["text", "meta.text"]),
    ascii_only=st.booleans(),
    part=st.integers(1, 12),
    broken=st.sampled_from([None, b" ", b"\\", b'"', b"\x01", b"\xff"]),
    at=st.integers(0, 60),
)
@example(text="", field="text", ascii_only=False, part=1, broken=b"\\", at=18)
def test_a_large_line_is_what_a_small_one_is(
    text: str, field: str, ascii_only: bool, part: int, broken: bytes | None, at: int
) -> None:
    """Its text is decoded in parts, wherever these end; and what is refused of a small one is refused of a large one."""
    value: Any = text
    for name in reversed(field.split(".")):
        value = {"n": 1, name: value}
    line = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n"
    if broken is not None:
        line = line[:at] + broken + line[at:].rstrip(b"\n") + b"\n"

    def outcome() -> Any:
        try:
            found = line_parser.parse_lines(line, field=field, errors="replace", at_start=False)
        except line_parser.BadLine as problem:
            return problem.row, problem.what, problem.do
        return found.text, list(found.offsets), list(found.rows), found.lines

    small = outcome()
    with mock.patch.object(line_parser, "_LARGE", 0), mock.patch.object(line_parser, "_PART", part):
        assert outcome() == small


@pytest.mark.parametrize("with_core", [True, False])
def test_a_large_line_is_never_whole_as_a_text_of_python(with_core: bool) -> None:
    """With one emoji it would take four bytes for each character."""
    line = json.dumps({"text": "word " * 1_600_000 + "🙂"}, ensure_ascii=False).encode() + b"\n"
    missing = mock.patch.object(line_parser, "utf8_prefix", side_effect=CoreUnavailable("", do=""))
    tracemalloc.start()
    try:
        with contextlib.nullcontext() if with_core else missing:
            found = line_parser.parse_lines(line, field="text", errors="strict", at_start=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.text) == 8_000_004
    assert peak < 2.2 * len(line), "its parts, and all of them together"


@given(st.binary(max_size=12) | st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_without_the_core_utf8_is_told_in_parts(data: bytes) -> None:
    with mock.patch.object(line_parser, "_PART", 3):
        assert line_parser._is_utf8_in_parts(data) == line_parser._is_utf8(data)
