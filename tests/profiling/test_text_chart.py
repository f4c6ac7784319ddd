"""A chart of text: its size, its heights, and no point that breaks it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguard.profiling.screens import chart_rows
from tests.properties import examples


def test_a_ramp_and_a_rest() -> None:
    assert chart_rows([(0, 1), (1, 2), (2, 3), (3, 4)], width=4, height=4) == ["   █", "  ██", " ███", "████"]
    assert chart_rows([(0, 8), (1, 4), (2, 1)], width=3, height=1) == ["█▄▁"]


def test_a_column_shows_its_highest_point_and_one_without_a_point_the_last_before() -> None:
    assert chart_rows([(0, 2), (0.1, 8), (0.2, 2), (9, 2), (10, 2)], width=10, height=1) == ["█▂▂▂▂▂▂▂▂▂"]


def test_what_is_little_is_still_seen() -> None:
    (row,) = chart_rows([(0, 1), (1, 10**12)], width=2, height=1)
    assert row == "▁█"


def test_nothing_to_draw() -> None:
    assert chart_rows([], width=10, height=3) == []
    assert chart_rows([(0, 1)], width=0, height=3) == []
    assert chart_rows([(0, 0), (1, 0)], width=2, height=2) == ["", ""]
    assert chart_rows([(0, 5e-324), (0, -1)], width=2, height=1) == ["█"]
    assert chart_rows([(5, 3)], width=3, height=1) == ["███"]


NUMBER = st.floats(-4e18, 4e18) | st.integers(-(1 << 62), 1 << 62) | st.sampled_from([0, 5e-324, 1e-300])


@examples(120)
@given(points=st.lists(st.tuples(NUMBER, NUMBER), max_size=20), width=st.integers(1, 70), height=st.integers(1, 8))
def test_whatever_a_recording_says_it_stays_in_its_place(
    points: list[tuple[float, float]], width: int, height: int
) -> None:
    """Times that run backwards, sizes below nothing: a recording is others' text."""
    rows = chart_rows(points, width=width, height=height)
    assert len(rows) == (height if points else 0)
    assert all(len(row) <= width and set(row) <= set(" ▁▂▃▄▅▆▇█") for row in rows)
