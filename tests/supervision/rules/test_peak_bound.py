"""The bound of a peak is never below the truth, whatever comes between two samples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguard.supervision.rules.limits import PeakBound


def test_the_mark_with_the_little_cache_that_was_there() -> None:
    bound = PeakBound()
    assert bound.at_most is None
    bound.take(100, 5, 110)
    bound.take(120, 9, None)
    assert bound.at_most == 120
    bound.take(120, 9, 200)
    assert bound.at_most == 200


def test_with_much_cache_nothing_is_said() -> None:
    bound = PeakBound()
    bound.take(100, 5, 110)
    bound.take(100, 50, 200)
    bound.take(100, 0, 110)
    assert bound.at_most is None


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.booleans()), min_size=1, max_size=60))
def test_no_peak_is_above_it(moments: list[tuple[int, int, bool]]) -> None:
    """Each moment is (held, cache, whether it is sampled)."""
    bound, mark, truth, since = PeakBound(), 0, 0, 0
    for held, cache, sampled in moments:
        mark, truth = max(mark, held + cache), max(truth, held)
        if sampled:
            bound.take(held, cache, mark)
            mark, since = held + cache, truth
    if bound.at_most is not None:
        assert bound.at_most >= since
