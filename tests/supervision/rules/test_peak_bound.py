"""The bound of a peak is never below the truth, whatever comes between two samples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguard.supervision.rules.peak_bound import PeakBound


def test_the_mark_less_the_cache_that_was_there() -> None:
    bound = PeakBound()
    bound.take(10, 50, 60)
    bound.take(12, 40, None)
    bound.take(12, 45, 200)
    assert bound.at_most == 160
    assert PeakBound().at_most is None


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.booleans()), min_size=1, max_size=60))
def test_no_peak_is_above_it(moments: list[tuple[int, int, bool]]) -> None:
    """Each moment is (held, cache, whether it is sampled); the cache is never less between two samples than at both."""
    bound, mark, truth, least, since = PeakBound(), 0, 0, 0, 0
    for held, cache, sampled in moments:
        there = max(cache, least)
        mark, truth = max(mark, held + there), max(truth, held)
        if sampled:
            bound.take(held, there, mark)
            mark, least, since = held + there, min(there, 500), truth
    if bound.at_most is not None:
        assert bound.at_most >= since
