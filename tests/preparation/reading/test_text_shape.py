"""The formulas for what a corpus takes, against objects that are really made."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.reading.corpus_sample import Estimate, describe_corpus
from oomguard.preparation.reading.sample_parts import Window
from oomguard.preparation.reading.text_shape import ENGLISH, HELD, PEAK, measure_shape

TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=80), min_size=1, max_size=20).filter(any)


def no_tokens(_: str) -> tuple[int, int]:
    return 0, 0


@given(TEXTS)
def test_a_text_takes_what_python_says(documents: list[str]) -> None:
    """sys.getsizeof of the whole, but for the header of the one object."""
    shape = measure_shape(documents, no_tokens)
    whole = "\n".join(documents) + "\n"
    size = len(whole.encode())
    assert HELD["text"](shape) * size == pytest.approx(sys.getsizeof(whole), abs=80)
    assert PEAK["text"](shape) >= HELD["text"](shape)


@given(TEXTS)
def test_lines_and_documents_take_no_less_than_python_says(documents: list[str]) -> None:
    shape = measure_shape(documents, no_tokens)
    size = len("\n".join(documents).encode()) + 1
    each = sum(sys.getsizeof(document) for document in documents) + 8 * len(documents)
    assert each <= HELD["documents"](shape) * size <= each * 1.35 + 32 * len(documents)


def test_english_takes_the_bytes_a_token_that_were_measured() -> None:
    """34.9 for a list that grows (benchmarks/trap_costs.py, FineWeb); 2 and 8 in an array."""
    assert HELD["tokens"](ENGLISH) / ENGLISH.tokens == pytest.approx(34.9, rel=0.01)
    assert HELD["array2"](ENGLISH) / ENGLISH.tokens == 2
    assert HELD["text"](ENGLISH) == pytest.approx(3.98, rel=0.01)


def test_a_band_holds_the_truth_and_is_nothing_where_all_was_seen() -> None:
    documents = [("word " * (1 + number % 7)) for number in range(400)]
    total = sum(map(len, documents))

    def described(every: int) -> Estimate:
        texts = [document.encode() for document in documents[::every]]
        share = total / sum(map(len, texts))
        windows = [
            Window(stands_for=share * len(text), size=len(text), texts=[text], ends=1, text_size=len(text))
            for text in texts
        ]
        return describe_corpus(
            windows, disk_bytes=total, count=lambda text: text.count(b"word") + text.count(b" "),
            count_with_large=no_tokens, seconds=lambda: 0.0,
        ).tokens  # fmt: skip

    everything, some = described(1), described(9)
    assert everything.low == everything.value == everything.high == 2 * (total // 5)
    assert some.low <= everything.value <= some.high
