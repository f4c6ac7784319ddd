"""Three short runs to a whole one: on runs that were measured, and properties that hold for any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.estimation.baselines import machine_with, naive_ways
from oomguard.estimation.run_forecast import ShortRun, choose_parts, choose_turns, forecast_run
from oomguard.preparation.reading.text_shape import ENGLISH
from oomguard.units import GIB, MIB

MB = 1_000_000
# Megabytes of text, peak in MiB, seconds; measured one after the other on 2 cores, Linux 6.18, under these budgets.
MEASURED = {
    "256M": [(16, 98.9, 0.485), (64, 108.2, 0.814), (256, 111.3, 2.395), (1000, 114.9, 9.278)],
    "2G": [(16, 152.1, 0.336), (64, 175.0, 0.518), (256, 224.2, 1.047), (1000, 338.5, 3.291)],
}
RUNS = st.tuples(st.integers(1, 1 << 20), st.integers(1, 1 << 34), st.floats(0.01, 1000))


def short(megabytes: float, peak: float, seconds: float) -> ShortRun:
    return ShortRun(text_bytes=int(megabytes * MB), peak=int(peak * MIB), seconds=seconds)


@pytest.mark.parametrize("budget", MEASURED)
def test_measured_runs_give_the_time_of_the_next_one(budget: str) -> None:
    *runs, (size, _, seconds) = MEASURED[budget]
    parts = [[short(*run)] for run in runs[1:]]
    forecast = forecast_run(parts, text_bytes=size * MB, is_whole=False)
    assert forecast.seconds_low <= seconds <= forecast.seconds_high
    assert forecast.seconds == pytest.approx(seconds, rel=0.25)


@given(st.lists(st.lists(RUNS, min_size=1, max_size=3), min_size=1, max_size=2), st.integers(1, 1 << 45), st.booleans())
def test_a_band_holds_its_forecast_and_is_never_nothing(
    parts: list[list[tuple[int, int, float]]], size: int, is_whole: bool
) -> None:
    runs = [[ShortRun(text_bytes=text, peak=peak, seconds=seconds) for text, peak, seconds in part] for part in parts]
    forecast = forecast_run(runs, text_bytes=size, is_whole=is_whole)
    assert forecast.peak_low <= forecast.peak <= forecast.peak_high
    assert 0 <= forecast.seconds_low <= forecast.seconds <= forecast.seconds_high


@given(st.integers(4, 1 << 50), st.floats(1, 1e12))
def test_a_small_input_is_tried_whole_and_of_others_at_most_half(size: int, rate: float) -> None:
    sizes = choose_parts(size, bytes_per_second=rate)
    assert sizes == sorted(sizes)
    assert sizes == [size] or 1 <= sizes[-1] <= max(1, size // 2)
    assert sizes == [size] or size > 200 * MB or size > rate


def test_of_runs_on_the_same_part_the_mean_counts_and_their_spread_widens_the_band() -> None:
    even, uneven = ([[short(100, 10, 2.0), short(100, 20, seconds)]] for seconds in (2.0, 8.0))
    calm = forecast_run(even, text_bytes=100 * MB, is_whole=True)
    disturbed = forecast_run(uneven, text_bytes=100 * MB, is_whole=True)
    assert (calm.peak, calm.seconds) == (20 * MIB, 2.0)
    assert disturbed.seconds == 5.0
    assert disturbed.seconds_low / disturbed.seconds < calm.seconds_low / calm.seconds


def test_the_popular_advice_needs_119_gb_for_15_gb_of_text() -> None:
    """35.2 bytes a token, 4.446 bytes of text a token; and the array while the list lives."""
    ways = {way.name: way for way in naive_ways(ENGLISH, text_bytes=15 * 10**9, available=24 * GIB)}
    way = ways["in chunks, one list"]
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


def test_a_line_that_is_longer_than_the_parts_have_leaves_only_the_budget_as_a_bound() -> None:
    runs = [[short(8, 90, 0.3)], [short(64, 100, 0.9)]]
    usual = forecast_run(runs, text_bytes=155 * MB, is_whole=False, longest_document=3000, budget=512 * MIB)
    assert usual.peak_high < 1.2 * usual.peak
    long = forecast_run(runs, text_bytes=155 * MB, is_whole=False, longest_document=75 * MB, budget=512 * MIB)
    assert (long.peak_low, long.peak, long.peak_high) == (usual.peak_low, usual.peak, 512 * MIB)
    whole = forecast_run(runs[1:], text_bytes=64 * MB, is_whole=True, longest_document=30 * MB, budget=512 * MIB)
    assert whole.peak_high == usual.peak_high


def test_where_only_beginnings_of_lines_were_seen_the_budget_alone_bounds_the_peak() -> None:
    runs = [[short(8, 90, 0.3)], [short(64, 100, 0.9)]]
    forecast = forecast_run(runs, text_bytes=155 * MB, is_whole=False, beginnings_only=True, budget=512 * MIB)
    assert (forecast.peak, forecast.peak_high) == (100 * MIB, 512 * MIB)


def test_no_run_is_faster_than_encoding_is() -> None:
    """Parts that took equally long were disturbed: their difference says nothing."""
    runs = [[short(5, 90, 1.6)], [short(45, 100, 1.5)]]
    forecast = forecast_run(runs, text_bytes=85 * MB, is_whole=False, encoded_a_second=200 * MB)
    assert 1.5 + 40 / 200 <= forecast.seconds < 1.5 + 2 * 40 / 200
    told = forecast_run([[short(5, 90, 0.5)], [short(45, 100, 0.9)]], text_bytes=85 * MB, is_whole=False)
    same = forecast_run(
        [[short(5, 90, 0.5)], [short(45, 100, 0.9)]], text_bytes=85 * MB, is_whole=False, encoded_a_second=200 * MB
    )
    assert same == told


def test_a_sample_is_encoded_more_slowly_than_the_whole_whose_words_are_met_again() -> None:
    """Measured on 117 MB in four languages: the sample said 60 MB/s; the whole took 1.46 s."""
    runs = [[short(5.2, 154, 0.761)], [short(42.7, 169, 0.97)]]
    forecast = forecast_run(runs, text_bytes=117 * MB, is_whole=False, encoded_a_second=60.6 * MB)
    assert forecast.seconds == pytest.approx(1.46, rel=0.1)


def test_the_further_the_whole_is_from_the_parts_the_less_certain_is_its_time() -> None:
    runs = [[short(7.3, 104, 0.472)], [short(58, 111, 0.724)]]
    near, far = (forecast_run(runs, text_bytes=size * MB, is_whole=False) for size in (116, 1000))
    assert near.seconds_low / near.seconds > 0.69
    assert far.seconds_low / far.seconds < 0.5
    assert far.seconds_low <= 0.724 + 942 / 500  # megabytes a second, as measured in longer runs
    thrice = forecast_run([3 * part for part in runs], text_bytes=1000 * MB, is_whole=False)
    assert far.seconds_low < thrice.seconds_low


def test_parts_are_run_once_more_beside_other_programs() -> None:
    calm = ShortRun(text_bytes=1, peak=1, seconds=1.0, wall_seconds=1.1)
    beside = ShortRun(text_bytes=1, peak=1, seconds=1.0, wall_seconds=2.0)
    assert [choose_turns(100 * MB, [run]) for run in (calm, beside)] == [1, 2]
    assert choose_turns(10**9, [calm]) == 3
