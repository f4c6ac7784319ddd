"""How long to wait until the next sample: simulated runs, with what a sample costs measured beforehand."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from oomguard.profiling.sampler import SamplingStep

if TYPE_CHECKING:
    from collections.abc import Callable

MIB, GIB = 1 << 20, 1 << 30
ONE, TEN, HUNDRED = 0.1e-3, 0.7e-3, 7e-3  # seconds of CPU for a sample of so many processes


def simulate(held: Callable[[float], float], *, cost: float, seconds: float) -> tuple[list[float], float]:
    """The times of the samples, and the part of a CPU that they took."""
    step, now, times = SamplingStep(), 0.0, []
    while now < seconds:
        times.append(now)
        now += cost + step.after(int(held(now)), seconds=now, cost=cost)
    return times, len(times) * cost / now


def longest(times: list[float], begin: float, end: float) -> float:
    inside = [time for time in times if begin <= time <= end]
    return max(after - before for before, after in itertools.pairwise(inside))


@pytest.mark.parametrize("cost", [ONE, TEN])
@pytest.mark.parametrize(
    "held",
    [
        lambda _: 300 * MIB,
        lambda now: now * 30 * MIB,
        lambda now: now * 3 * GIB,
        lambda now: (now % 0.1 > 0.05) * GIB,
        lambda now: (now % 10 > 5) * GIB,
    ],
    ids=["rests", "grows slowly", "grows fast", "pulses", "changes now and then"],
)
def test_an_hour_costs_less_than_one_percent_of_a_cpu(held: Callable[[float], float], cost: float) -> None:
    """Also where memory never stands still."""
    assert simulate(held, cost=cost, seconds=3600)[1] < 0.01


@pytest.mark.parametrize("cost", [ONE, TEN])
def test_a_short_program_that_grows_is_seen_every_few_milliseconds(cost: float) -> None:
    times, _ = simulate(lambda now: now * 500 * MIB, cost=cost, seconds=1.0)
    assert longest(times, 0.05, 1.0) < 0.012


def test_growth_after_a_rest_is_seen_within_a_tenth_of_a_second() -> None:
    """So a process that holds something for 0.2 s is in a sample; and from then on it is looked at often."""
    times, _ = simulate(lambda now: 100 * MIB + max(0.0, now - 20) * GIB, cost=TEN, seconds=21)
    assert longest(times, 10, 20.3) < 0.105
    assert longest(times, 20.15, 20.9) < 0.012


def test_long_rest_makes_long_steps_and_none_is_longer_than_half_a_second() -> None:
    times, _ = simulate(lambda _: 100 * MIB, cost=ONE, seconds=600)
    assert 0.4 < longest(times, 300, 600) < 0.51
    assert longest(simulate(lambda _: 100 * MIB, cost=0.2, seconds=100)[0], 0, 100) < 0.71


def test_a_tree_of_a_hundred_processes_at_rest() -> None:
    assert simulate(lambda _: GIB, cost=HUNDRED, seconds=3600)[1] < 0.02
