"""Strings of JSON say to the core what they say to Python's json; whatever that refuses, or takes as a surrogate, is refused."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oomguard.preparation.encoding.bytes_core import json_lines, json_strings, line_feeds
from tests.preparation.encoding.core_texts import native_needed
from tests.properties import examples

PIECES = ["a", "word ", "0123456789", "é", "漢", "😀", "\x7f", "\x00", "\x1f", "\n", '"', "\\", '\\"', "\\\\", "\\/", "\\b",
          "\\f", "\\n", "\\r", "\\t", "\\x", "\\u", "\\u0000", "\\u007F", "\\u07ff", "\\u0800", "\\uFFFF", "\\ud83d", "\\ude00",
          "\\uD83D\\uDE00", "\\udbff\\udfff", "\\ud800\\udc00", "\\u12g4", "\\U0041", "'", "{", "}"]  # fmt: skip


@pytest.fixture(autouse=True)
def _core() -> None:
    native_needed()


def expected(value: str) -> bytes | None:
    """What one JSON string says; None if it is none, or if it has a surrogate that is alone."""
    try:
        said = json.loads(value)
        return said.encode() if isinstance(said, str) and value[:1] == '"' == value[-1:] else None
    except ValueError:
        return None


@examples(500)
@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map(lambda parts: '"' + "".join(parts) + '"'), max_size=5)
)
def test_strings_say_what_they_say_to_json(values: list[str]) -> None:
    data = "".join(values).encode()
    wanted = [expected(value) for value in values]
    found = json_strings(data, len(values))
    if all(text is not None for text in wanted):
        assert found is not None
        text, offsets = found
        assert [bytes(text[start:end]) for start, end in pairwise(offsets)] == wanted
        assert len(text) == offsets[-1]
        assert json_strings(data, len(values) + 1) is None
        assert not values or json_strings(data, len(values) - 1) is None
    elif len(values) == 1:  # of several, one may be two: "a"b" is a string and what begins none
        assert found is None


@given(st.characters(exclude_categories=["Cs"]), st.integers(0, 9))
def test_every_character_can_be_escaped(character: str, before: int) -> None:
    value = json.dumps("a" * before + character + "b").encode()
    found = json_strings(value, 1)
    assert found is not None
    assert found[0] == json.loads(value).encode()


@pytest.mark.parametrize(
    "data", [b"", b" ", b'"', b"a", b"5", b"null", b'"a" ', b' "a"', b'"a""', b'"a"5', b'"\\', b'"\\u004']
)
def test_what_is_no_string_is_refused(data: bytes) -> None:
    assert json_strings(data, 1) is None


def test_no_strings() -> None:
    found = json_strings(b"", 0)
    assert found is not None
    assert not found[0]
    assert list(found[1]) == [0]


@given(
    st.lists(st.sampled_from([b"\n", b"\r", b"a", b"{", b"}", b"{}", b"{}\n", b"\n" * 300, b"x" * 260]), max_size=12)
)
@example([b"{}\n", b"\n", b"{}"])
@example([b"{}\n" * 700])
def test_lines_are_those_of_split(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert line_feeds(data) == line_feeds(memoryview(bytearray(data))) == data.count(b"\n")
    lines = [line.removesuffix(b"\r") for line in data.removesuffix(b"\n").split(b"\n")]
    whole = all(len(line) > 1 and line[:1] == b"{" and line[-1:] == b"}" for line in lines)
    assert json_lines(data) == (len(lines) if whole else 0)
