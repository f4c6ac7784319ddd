"""A timeline of any length: bounded, evenly thinned, and the highest of each neighbourhood stays."""

from __future__ import annotations

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.profiling.rules.rebuild import MOST_POINTS, Timeline
from oomguard.supervision.model import MemorySample


def sample(seconds: float, size: int) -> MemorySample:
    return MemorySample(seconds=seconds, unreclaimable=size, exact=True, cache=None, processes=())


@settings(max_examples=40)
@given(
    gaps=st.lists(st.sampled_from([0.0, 0.005, 0.1, 0.5, 30.0]), min_size=1, max_size=300),
    sizes=st.randoms(use_true_random=False),
    most=st.integers(4, 40),
)
def test_bounded_in_order_and_nothing_high_is_lost(gaps: list[float], sizes: random.Random, most: int) -> None:
    timeline = Timeline(most)
    taken = [sample(seconds, sizes.randrange(1000)) for seconds in itertools.accumulate(gaps)]
    for one in taken:
        timeline.add(one)
        assert len(timeline) <= most
    kept = list(timeline)
    assert all(one in taken for one in kept)
    times = [one.seconds for one in kept]
    assert times == sorted(times)
    # Each sample has a neighbour that is as high, no further than a few of what the points are apart.
    apart = 8 * (taken[-1].seconds - taken[0].seconds) / most
    for one in taken:
        assert any(
            other.unreclaimable >= one.unreclaimable and abs(other.seconds - one.seconds) <= apart for other in kept
        )


def test_a_week() -> None:
    """Samples at every step from 5 ms to 0.5 s; the only high one among them lasts 5 ms."""
    timeline = Timeline()
    steps = random.Random(5)
    seconds, count = 0.0, 0
    while seconds < 7 * 86400:
        seconds += steps.choice((0.005, 0.5, 30.0))
        count += 1
        timeline.add(sample(seconds, 9000 if count == 20_000 else count % 100))
    assert count > 50_000
    assert MOST_POINTS // 3 <= len(timeline) <= MOST_POINTS
    assert max(one.unreclaimable for one in timeline) == 9000
    gaps = [after.seconds - before.seconds for before, after in itertools.pairwise(timeline)]
    assert max(gaps) < 4 * 7 * 86400 / (MOST_POINTS / 3)


def test_one_moment_of_many_samples() -> None:
    """As a recording may say that others wrote."""
    timeline = Timeline(100)
    for size in range(5000):
        timeline.add(sample(1.0, size))
    assert len(timeline) <= 100
    assert max(one.unreclaimable for one in timeline) == 4999
