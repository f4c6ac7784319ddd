"""The validation split takes the asked share, evenly, and the same documents however it is asked."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.writing.val_split import ValSplit

fractions = st.one_of(
    st.fractions(0, 1, max_denominator=3000).map(str),
    st.floats(0, 1, allow_subnormal=False),
    st.sampled_from(["0.0005", "0.1", "1e-4", "0", "1"]),
)


@given(fraction=fractions, first=st.integers(0, 10_000))
def test_next_val_finds_what_is_val_says(fraction: str | float, first: int) -> None:
    """The fast way (jumping) and the slow one (looking at each) are the same."""
    split = ValSplit(fraction)
    slow = next((document for document in range(first, first + 500) if split.is_val(document)), None)
    fast = split.next_val(first)
    assert slow == fast if slow is not None else fast is None or fast >= first + 500


@given(fraction=fractions, documents=st.integers(0, 3000), start=st.integers(0, 3000))
def test_every_stretch_holds_its_share(fraction: str | float, documents: int, start: int) -> None:
    """To within one document: so also a corpus that is sorted gives a fair split."""
    split = ValSplit(fraction)
    taken = sum(split.is_val(document) for document in range(start, start + documents))
    assert abs(taken - documents * Fraction(str(fraction))) < 1


def test_the_first_document_is_taken_and_then_each_2000th() -> None:
    """With nanoGPT's 0.0005, exactly, for ever: floats would drift."""
    split = ValSplit("0.0005")
    assert [split.next_val(0), split.next_val(1), split.next_val(10**12 + 1)] == [0, 2000, 10**12 + 2000]


def test_nothing_and_everything() -> None:
    assert ValSplit("0").next_val(0) is None
    assert [ValSplit("1").next_val(document) for document in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("fraction", ["-0.1", "1.1", "7"])
def test_no_fraction_is_a_callers_bug(fraction: str) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        ValSplit(fraction)
