"""Three short runs to a whole one: on runs that were measured, and properties that hold for any."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.estimation.baselines import machine_with, naive_ways
from oomguard.estimation.calibration import ShortRun, choose_sizes, combine_runs, forecast_run
from oomguard.preparation.engines.memory_sum import BudgetPlan, Needs, plan_budget
from oomguard.preparation.reading.text_shape import ENGLISH
from oomguard.units import GIB, MIB

MB = 1_000_000
# Megabytes of text, peak in MiB, seconds; measured one after the other on 2 cores, Linux 6.18, under these budgets.
MEASURED = {
    "256M": [(16, 98.9, 0.485), (64, 108.2, 0.814), (256, 111.3, 2.395), (1000, 114.9, 9.278)],
    "2G": [(16, 152.1, 0.336), (64, 175.0, 0.518), (256, 224.2, 1.047), (1000, 338.5, 3.291)],
}
RUNS = st.tuples(st.integers(1, 1 << 20), st.integers(1, 1 << 34), st.floats(0.01, 1000))


def plan(budget: int) -> BudgetPlan:
    needs = Needs(
        family="gpt2", token_bytes=2, inputs=frozenset({"text"}), stream=False, native=True, verify=True, chunks=1000
    )
    enough = plan_budget(2 * GIB, needs=needs, workers=None, cpus=2)
    return replace(enough, budget=budget, sum=min(enough.sum, budget))


def short(megabytes: float, peak: float, seconds: float) -> ShortRun:
    return ShortRun(text_bytes=int(megabytes * MB), peak=int(peak * MIB), seconds=seconds)


@pytest.mark.parametrize("budget", MEASURED)
def test_measured_runs_give_the_next_one(budget: str) -> None:
    *runs, (size, _, seconds) = MEASURED[budget]
    forecast = forecast_run([short(*run) for run in runs], text_bytes=size * MB, plan=plan(2 * GIB))
    assert forecast.seconds == pytest.approx(seconds, rel=0.25)
    assert forecast.peak == plan(2 * GIB).sum  # it needs no run to tell it


@given(st.lists(RUNS, min_size=3, max_size=3), st.integers(1, 1 << 45), st.integers(1, 1 << 35))
def test_a_forecast_is_never_above_the_budget_and_its_band_holds_it(
    runs: list[tuple[int, int, float]], size: int, budget: int
) -> None:
    some = [ShortRun(text_bytes=text, peak=peak, seconds=seconds) for text, peak, seconds in runs]
    forecast = forecast_run(some, text_bytes=size, plan=plan(budget))
    assert 0 <= forecast.peak <= budget
    assert forecast.peak <= forecast.peak_high <= budget
    assert forecast.seconds_low <= forecast.seconds <= forecast.seconds_high


@given(st.integers(4, 1 << 50), st.floats(1, 1e12), st.floats(0.1, 10))
def test_what_is_tried_is_at_most_half_of_the_input(size: int, rate: float, seconds: float) -> None:
    sizes = choose_sizes(size, bytes_per_second=rate, seconds=seconds)
    assert sizes == sorted(sizes)
    assert 1 <= sizes[-1] <= max(1, size // 2)


def test_of_runs_on_the_same_part_the_mean_counts() -> None:
    """The run that follows is no more likely to be lucky than these."""
    combined = combine_runs([short(1, 10, 2.0), short(1, 20, 1.0)])
    assert (combined.peak, combined.seconds) == (15 * MIB, 1.5)


def test_the_popular_advice_needs_119_gb_for_15_gb_of_text() -> None:
    """35.2 bytes a token, 4.446 bytes of text a token; and the array while the list lives."""
    ways = {way.name: way for way in naive_ways(ENGLISH, text_bytes=15 * 10**9, available=24 * GIB)}
    way = ways["in pieces, one list"]
    assert way.needs == pytest.approx(119e9 + 6.7e9, rel=0.02)
    assert not way.fits
    assert way.dies_at == pytest.approx(24 * GIB / 8.3, rel=0.02)
    assert way.machine_gib == 128
    assert way.swap == pytest.approx(1.1 * way.needs - 24 * GIB, rel=0.01)
    assert ways["read whole, one list"].needs > way.needs + 4 * 14 * 10**9  # and 4 bytes for each character


def test_a_small_input_fits_everywhere() -> None:
    assert all(way.fits and way.swap == 0 for way in naive_ways(ENGLISH, text_bytes=10**6, available=GIB))


@pytest.mark.parametrize(
    ("needs", "gib"), [(1, 8), (8 * GIB, 16), (120 * GIB, 128), (1400 * GIB, 1536), (1 << 60, None)]
)
def test_machines_leave_some_memory_to_the_system(needs: int, gib: int | None) -> None:
    assert machine_with(needs)[0] == gib
