"""Cutting where `last_safe_cut` says never changes a token, for every family and every kind of character."""

from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.encoding.safe_cuts import Family, last_safe_cut, unify_newlines
from tests.properties import examples
from tests.reference import CHARACTERS, encoding_of, pattern_of

FAMILIES: dict[Family, str] = {"gpt2": "r50k_base", "cl100k": "cl100k_base", "o200k": "o200k_base"}

texts = st.lists(st.one_of(st.sampled_from(CHARACTERS), st.characters(codec="utf-8")), max_size=30).map("".join)


def all_cuts(text: bytes, family: Family, **options: Any) -> list[int]:
    """Every cut of a text: the last one of each of its beginnings."""
    found = {last_safe_cut(text[:end], family=family, **options) for end in range(len(text) + 1)}
    return sorted(cut for cut in found if cut is not None)


@pytest.mark.parametrize("family", FAMILIES)
@examples(3000)
@given(text=texts)
def test_a_cut_changes_no_token(family: Family, text: str) -> None:
    """The two sides, split and encoded alone, are the whole, split and encoded at once.

    Pretokens are compared too: many wrong cuts change them and still happen to give the same tokens.
    """
    encoding = encoding_of(FAMILIES[family])
    pattern = regex.compile(pattern_of(FAMILIES[family]))
    raw = text.encode()
    for cut in all_cuts(raw, family):
        parts = [raw[:cut].decode(), raw[cut:].decode()]
        assert [found for part in parts for found in pattern.findall(part)] == pattern.findall(text), parts
        assert [token for part in parts for token in encoding.encode_ordinary(part)] == encoding.encode_ordinary(text)


@examples(2000)
@given(
    text=st.lists(st.sampled_from(["a", "b", " ", "\n", "\r\n", "x1", "==", "="]), max_size=40).map("".join),
    separator=st.sampled_from(["\n\n", "==", " b", "a\n", "\n=", "b b"]),
    universal=st.booleans(),
)
def test_a_cut_never_moves_a_separator(text: str, separator: str, universal: bool) -> None:
    """Splitting the parts into documents gives the documents of the whole."""
    raw, mark = text.encode(), separator.encode()
    normal = unify_newlines if universal else bytes
    for cut in all_cuts(raw, "gpt2", separator=mark, universal_newlines=universal):
        left, right = normal(raw[:cut]).split(mark), normal(raw[cut:]).split(mark)
        assert [*left[:-1], left[-1] + right[0], *right[1:]] == normal(raw).split(mark)


@pytest.mark.parametrize("family", FAMILIES)
def test_text_of_every_kind_has_cuts(family: Family) -> None:
    """English, code, numbers, Chinese, Korean and Cyrillic can all be cut within a window."""
    samples = ["the cat sat", "f(x)=y", "3.14159", "我们，你们", "漢字3漢字", "한국어 말", "слово слово", "a\nb", "x;y"]
    assert [sample for sample in samples if last_safe_cut(sample.encode(), family=family) is None] == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "text", ["", "a", "aaaa" * 1000, " " * 5000, "\n" * 5000, "0123456789" * 300, "é" * 999, "!" * 999]
)
def test_text_without_a_cut_gives_none(family: Family, text: str) -> None:
    """One long run of one kind is one pretoken (or digits in threes, which depend on where the run began)."""
    assert last_safe_cut(text.encode(), family=family) is None
