"""tiktoken over the core's shoulder: wrong ids are caught, and right ones are not."""

from __future__ import annotations

from array import array
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.encoding.encodings import find_encoding, find_rank_file
from oomguard.preparation.encoding.verifier import EngineDiffers, Verifier
from tests.preparation.expecting import tokens_of
from tests.properties import examples

SPEC = find_encoding("gpt2")
RANKS = str(find_rank_file(SPEC))
FULL = Verifier("full", SPEC, RANKS, engine="core")


def tokens_in(text: str, mark: str) -> array[int]:
    parts = text.split(mark) if mark else [text]
    return array("H", tokens_of(parts, eot="before")[1:])


@examples(200)
@given(
    parts=st.lists(st.text(st.sampled_from("ab 1.\n"), max_size=30), min_size=1, max_size=5),
    wrong=st.integers(0, 50),
    how=st.sampled_from(["change", "drop", "double", "nothing"]),
    mark=st.sampled_from(["", "|"]),
)
def test_full_catches_every_wrong_id(parts: list[str], wrong: int, how: str, mark: str) -> None:
    """In whichever document it is; and it says nothing against right ones."""
    text = mark.join(parts)
    right = tokens_in(text, mark)
    if not right or how == "nothing":
        FULL.look_at_text(text.encode(), memoryview(right), mark=mark.encode(), eot=SPEC.eot)
        return
    at = wrong % len(right)
    given = {
        "change": right[:at] + array("H", [right[at] ^ 1]) + right[at + 1 :],
        "drop": right[:at] + right[at + 1 :] + array("H", [right[at] ^ 1]),
        "double": right[: at + 1] + array("H", [right[at] ^ 1]) + right[at + 1 :],
    }[how]
    if given[: len(right)] == right:
        return  # what is behind the text's own tokens is not looked at
    with pytest.raises(EngineDiffers, match="core .* tiktoken"):
        FULL.look_at_text(text.encode(), memoryview(given), mark=mark.encode(), eot=SPEC.eot)


@examples(50)
@given(documents=st.lists(st.text(max_size=20), min_size=1, max_size=8), wrong=st.integers(0, 100))
def test_documents_in_an_array(documents: list[str], wrong: int) -> None:
    raw = [document.encode() for document in documents]
    offsets = array("q", accumulate(map(len, raw), initial=0))
    tokens = array("H", tokens_of(documents))
    FULL.look_at_documents(b"".join(raw), offsets, memoryview(tokens), eot=SPEC.eot)
    tokens[wrong % len(tokens)] ^= 1
    with pytest.raises(EngineDiffers):
        FULL.look_at_documents(b"".join(raw), offsets, memoryview(tokens), eot=SPEC.eot)


def test_the_whole_text_is_compared() -> None:
    """Longer than what is compared at a time."""
    text = "It was a dark and stormy night. " * 10_000
    verifier = Verifier("full", SPEC, RANKS, engine="core")
    verifier.look_at_text(text.encode(), memoryview(tokens_in(text, "")), mark=b"", eot=-1)
    assert verifier.bytes == len(text)
    wrong = tokens_in(text, "")
    wrong[-1] ^= 1
    with pytest.raises(EngineDiffers) as caught:
        verifier.look_at_text(text.encode(), memoryview(wrong), mark=b"", eot=-1)
    assert caught.value.at > len(text) - (1 << 17)


def test_off_and_the_reference_itself_look_at_nothing() -> None:
    assert not Verifier("off", SPEC, RANKS, engine="core").is_due()
    assert not Verifier("full", SPEC, RANKS, engine="tiktoken").is_due()


def test_a_sample_costs_a_hundredth(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock: what it spent stays near that share of the time."""
    now = [0.0]
    monkeypatch.setattr("oomguard.preparation.encoding.verifier.time.monotonic", lambda: now[0])
    verifier = Verifier("sample", SPEC, RANKS, engine="core")

    def expected(*_: object, **__: object) -> array[int]:
        now[0] += 0.5
        return array("H", [1])

    monkeypatch.setattr(verifier, "_expected", expected)
    seen = 0
    for _ in range(10_000):
        now[0] += 0.1
        if verifier.is_due():
            seen += 1
            verifier.look_at_text(b"text", memoryview(array("H", [1])), mark=b"", eot=-1)
    assert verifier._spent == pytest.approx(0.01 * now[0], rel=0.1)
    assert 10 < seen < 60


def test_text_that_stops_tiktoken_is_not_compared() -> None:
    """It says so by not counting it."""
    verifier = Verifier("full", SPEC, RANKS, engine="core")
    verifier.look_at_text(b" " * 1_000_000 + b"x", memoryview(array("H", [1, 2, 3])), mark=b"", eot=-1)
    assert (verifier.documents, verifier.bytes) == (0, 0)
