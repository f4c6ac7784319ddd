"""Where `find_difference` finds none, merging by bytes and merging by a list give the same on any text."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.preparation.encoding.tokenizer_json import find_difference

BYTES = {bytes([byte]): byte for byte in range(256)}
Merge = tuple[bytes, bytes]


def by_bytes(text: bytes, tokens: dict[bytes, int]) -> list[bytes]:
    """As the core and tiktoken: the lowest token that two neighbours make, the leftmost first."""
    if text in tokens:
        return [text]
    parts = [text[i : i + 1] for i in range(len(text))]
    while True:
        made = [(tokens[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in tokens]
        if not made:
            return parts
        _, at = min(made)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def by_list(text: bytes, merges: list[Merge], tokens: dict[bytes, int], *, whole_words: bool) -> list[bytes]:
    """As Hugging Face's BPE: the first merge of the list, the leftmost first."""
    if whole_words and text in tokens:
        return [text]
    rank = {merge: place for place, merge in enumerate(merges)}
    parts = [text[i : i + 1] for i in range(len(text))]
    while True:
        made = [(rank[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in rank]
        if not made:
            return parts
        _, at = min(made)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def tokens_of(merges: list[Merge], more: list[bytes]) -> dict[bytes, int]:
    words = list(dict.fromkeys([left + right for left, right in merges] + more))
    return BYTES | {word: 256 + place for place, word in enumerate(words) if len(word) > 1}


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[Merge], dict[bytes, int]]:
    """Merges of random pairs of tokens; of some tokens all ways to make them are there."""
    rng = draw(st.randoms(use_true_random=False))
    words, merges = [b"a", b"b", b"c"][: rng.randint(1, 3)], []
    for _ in range(rng.randint(1, 12)):
        left, right = rng.choice(words), rng.choice(words)
        if left + right in words or len(left + right) > 8:
            continue
        words.append(left + right)
        ways = [(left, right)]
        if rng.random() < 0.5:
            whole = left + right
            ways = [(whole[:i], whole[i:]) for i in range(1, len(whole)) if whole[:i] in words and whole[i:] in words]
            rng.shuffle(ways)
        merges += ways
    more = [b"".join(rng.choices(words, k=2)) for _ in range(rng.choice((0, 0, 0, 1)))]
    return merges, tokens_of(merges, [word for word in more if word not in words])


accepted = 0


@settings(max_examples=400, deadline=None)
@given(made=lists(), whole_words=st.booleans(), seed=st.integers(0, 1 << 30))
def tried(made: tuple[list[Merge], dict[bytes, int]], whole_words: bool, seed: int) -> None:
    global accepted  # noqa: PLW0603 - counted for the test below
    merges, tokens = made
    if find_difference(tokens, merges, whole_words=whole_words) is not None:
        return
    accepted += 1
    rng = random.Random(seed)
    for _ in range(25):
        text = bytes(rng.choices(b"abc", k=rng.randint(1, 14)))
        assert by_bytes(text, tokens) == by_list(text, merges, tokens, whole_words=whole_words), (text, merges)


def test_no_difference_where_none_is_found() -> None:
    tried()
    assert accepted > 80, "that was tried on next to nothing"


@pytest.mark.parametrize(
    ("merges", "more", "whole_words", "why"),
    [
        ([(b"a", b"b"), (b"b", b"c"), (b"a", b"bc")], [], True, "do not make"),  # "abc" is ab, c by the list
        ([(b"a", b"b"), (b"b", b"c"), (b"a", b"bc")], [], False, "no merges make"),
        ([(b"a", b"b")], [b"abc"], True, "do not make"),  # ab, c are two tokens, and no merge joins them
        ([(b"a", b"b"), (b"b", b"a")], [b"xyz"], False, "no merges make"),  # only a look-up gives "xyz"
        ([(b"a", b"b"), (b"a", b"b")], [], True, "twice"),
    ],
)
def test_what_may_differ_is_named(merges: list[Merge], more: list[bytes], whole_words: bool, why: str) -> None:
    assert why in (find_difference(tokens_of(merges, more), merges, whole_words=whole_words) or "")


def test_merges_in_another_order_than_the_ids() -> None:
    tokens = BYTES | {b"ab": 257, b"bc": 256}
    assert find_difference(tokens, [(b"a", b"b"), (b"b", b"c")], whole_words=True) is not None
    assert find_difference(tokens, [(b"b", b"c"), (b"a", b"b")], whole_words=True) is None


def test_a_byte_without_a_token() -> None:
    tokens = {word: token for word, token in BYTES.items() if word != b"\xff"}
    assert find_difference(tokens, [], whole_words=True) is not None
