"""Pieces tile the text, end at safe cuts, and one that must be found is found whatever the windows are."""

from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.encoding import cutting
from oomguard.preparation.encoding.cutting import find_first_cut, find_next_cut, find_piece_end, split_pieces
from oomguard.preparation.encoding.safe_cuts import last_safe_cut
from tests.properties import examples

cut = partial(last_safe_cut, family="gpt2")
texts = st.lists(
    st.sampled_from(["a", "bb", " ", "\n", "1", "x" * 70, "y" * 300, ", ", "字", " " * 100]), max_size=30
).map(lambda parts: "".join(parts).encode())


@pytest.fixture(autouse=True, scope="module")
def small_windows() -> Iterator[None]:
    """So that a text of a hundred bytes has many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_FIRST_WINDOW", 96)
        patch.setattr(cutting, "_WIDEST_WINDOW", 200)
        yield


def reader_of(text: bytes) -> cutting.Read:
    return lambda start, length: text[start : start + length]


def all_cuts(text: bytes) -> set[int]:
    found: set[int] = set()
    while (place := cut(text)) is not None:
        found.add(place)
        text = text[:place]
    return found


@examples(400)
@given(text=texts, target=st.integers(1, 400))
def test_pieces_tile_the_text_and_end_at_safe_cuts(text: bytes, target: int) -> None:
    pieces = list(split_pieces(reader_of(text), cut, size=len(text), target=lambda: target))
    assert b"".join(pieces) == text
    assert all(pieces)
    ends = [sum(map(len, pieces[: number + 1])) for number in range(len(pieces) - 1)]
    assert set(ends) <= all_cuts(text)


@examples(400)
@given(text=texts, target=st.integers(65, 400))
def test_a_piece_is_longer_than_asked_only_where_nothing_can_be_cut(text: bytes, target: int) -> None:
    """But for the few bytes looked at beyond the target; a cut is told by the text from the piece's begin on."""
    start = 0
    for piece in split_pieces(reader_of(text), cut, size=len(text), target=lambda: target):
        if len(piece) > target + cutting._OVERLAP:
            shown = {start + place for place in all_cuts(text[start:])}
            inside = {place for place in all_cuts(text) & shown if start < place <= start + target}
            assert inside == set()
        start += len(piece)


@examples(400)
@given(text=texts, start=st.integers(0, 600), target=st.integers(1, 100), longest=st.integers(200, 500))
def test_no_piece_is_longer_than_the_longest(text: bytes, start: int, target: int, longest: int) -> None:
    """None says that there is no cut within; a piece that ends with the text is no exception."""
    start = min(start, len(text))
    end = find_piece_end(reader_of(text), cut, start=start, target=target, end=len(text), longest=longest)
    if end is None:
        assert not [place for place in all_cuts(text) if start + target < place <= start + longest]
        assert len(text) - start > longest
    else:
        assert start < end <= start + longest or start == end == len(text)


@examples(600)
@given(text=texts, start=st.integers(0, 600), first=st.integers(80, 300), widest=st.integers(100, 700))
def test_the_first_cut_does_not_depend_on_the_windows(text: bytes, start: int, first: int, widest: int) -> None:
    """A validation split begins there, so another budget, or going on, must find the same place."""
    start = min(start, len(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_FIRST_WINDOW", first)
        patch.setattr(cutting, "_WIDEST_WINDOW", widest)
        found = find_first_cut(reader_of(text), cut, start=start, end=len(text), limit=len(text))
    after = [place for place in all_cuts(text) if place > start]
    assert found == (min([*after, len(text)]) if start < len(text) else None)


@examples(300)
@given(text=texts, start=st.integers(0, 600), reach=st.integers(0, 300))
def test_the_next_cut_respects_its_limit(text: bytes, start: int, reach: int) -> None:
    start = min(start, len(text))
    limit = min(start + reach, len(text))
    found = find_next_cut(reader_of(text), cut, start=start, end=len(text), limit=limit)
    assert found is None or (start < found <= limit and found in all_cuts(text) | {len(text)})


@pytest.mark.parametrize("text", [b"", b"a", b"a" * 5000, b" " * 5000])
def test_text_that_cannot_be_cut_stays_whole(text: bytes) -> None:
    assert list(split_pieces(reader_of(text), cut, size=len(text), target=lambda: 100)) == ([text] if text else [])


def test_a_separator_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is longer than the overlap of two windows."""
    monkeypatch.setattr(cutting, "_FIRST_WINDOW", 500)
    monkeypatch.setattr(cutting, "_WIDEST_WINDOW", 1000)
    separator = b"=== " * 30
    text = (b"word " * 40 + separator) * 20
    avoid = partial(cut, separator=separator)
    for target in (100, 150, 333):
        pieces = list(split_pieces(reader_of(text), avoid, size=len(text), target=partial(int, target)))
        assert len(pieces) > 5
        assert b"".join(pieces) == text
        assert sum(piece.count(separator) for piece in pieces) == 20
