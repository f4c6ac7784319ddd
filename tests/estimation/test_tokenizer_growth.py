"""A table that doubles: its leaps are found in what was measured, and those to come are told; runs are played through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.estimation.calibration import ShortRun, forecast_run
from oomguard.estimation.peak_simulation import simulate_peak
from oomguard.estimation.tokenizer_growth import TokenizerGrowth, continue_growth
from oomguard.preparation.engines.memory_budget import plan_budget
from oomguard.units import MIB

MB = 1_000_000
# One gigatoken 0.10 on a made English text: megabytes of text, MiB of anonymous memory (Linux 6.18).
MEASURED = [
    (2, 1), (8, 3), (20, 4), (30, 12), (50, 12), (100, 13), (110, 29), (150, 29.6), (200, 31.3), (250, 33.7), (350, 34.3),
    (373, 69.5), (600, 70.8), (950, 73.9),
]  # fmt: skip
# What runs took on the same text beside their tokenizers: measured peaks in MiB by megabytes of text, two runs each.
PEAKS = {
    256: {64: 111.0, 128: 138.7, 256: 131.3, 512: 185.8, 1000: 192.1},
    512: {64: 127.9, 128: 141.7, 256: 207.4, 512: 219.5, 1000: 219.9},
    2048: {64: 131.4, 128: 142.6, 256: 169.7, 512: 186.2, 1000: 332.0},
}


def measured(up_to: float = 1000) -> TokenizerGrowth:
    growth = continue_growth([(int(text * MB), int(held * MIB)) for text, held in MEASURED if text <= up_to])
    assert growth is not None
    return growth


def test_leaps_are_found_where_the_table_doubled() -> None:
    assert [round(leap.text / MB) for leap in measured().leaps[:3]] == [30, 110, 373]


def test_the_leap_to_come_is_told_from_those_before() -> None:
    """Of the one at 373 MB nothing was seen."""
    leap = measured(up_to=250).leaps[2]
    assert leap.text == pytest.approx(373 * MB, rel=0.15)
    assert leap.after == pytest.approx(69.5 * MIB, rel=0.1)


def test_where_nothing_leaps_nothing_is_told() -> None:
    assert continue_growth([]) is None
    assert continue_growth([(MB, MIB), (2 * MB, 2 * MIB)]) is None


@given(
    st.lists(st.tuples(st.integers(1, 1 << 24), st.integers(0, 1 << 26)), min_size=1, max_size=40),
    st.lists(st.integers(1, 1 << 44), min_size=2, max_size=9).map(sorted),
)
def test_leaps_come_in_order_and_memory_is_never_negative(steps: list[tuple[int, int]], asked: list[int]) -> None:
    points, text, held = [], 0, 0
    for more_text, more_held in steps:
        text, held = text + more_text, held + more_held
        points.append((text, held))
    growth = continue_growth(points)
    if growth is not None:
        leaps = [leap.text for leap in growth.leaps]
        assert leaps == sorted(set(leaps))
        assert [growth.at(each) for each in asked] == sorted(growth.at(each) for each in asked)


@pytest.mark.parametrize("seen", [130, 1000])
@pytest.mark.parametrize("budget", PEAKS)
def test_short_runs_and_one_tokenizer_give_the_long_runs(budget: int, seen: float) -> None:
    """What is not the tokenizers' is the same: 64 and 128 MB of text give all others within a tenth."""
    plan = plan_budget(budget * MIB, family="gpt2", workers=None, cpus=2, reader=False, verify=True)
    peaks = PEAKS[budget]
    runs = [ShortRun(text_bytes=text * MB, peak=round(peaks[text] * MIB), seconds=1.0) for text in (64, 64, 128)]
    for text in (256, 512, 1000):
        forecast = forecast_run(runs, text_bytes=text * MB, plan=plan, growth=measured(up_to=seen))
        assert forecast.peak == pytest.approx(peaks[text] * MIB, rel=0.1), text
        assert forecast.peak_low <= peaks[text] * MIB <= forecast.peak_high


def test_a_run_that_ends_where_processes_are_exchanged_tells_little() -> None:
    """Whether it saw that or not is chance, and makes 40 MiB (measured: 206, 242 and 247 MiB, 190 to 212 MB of text)."""
    plan = plan_budget(512 * MIB, family="gpt2", workers=None, cpus=2, reader=True, verify=True)
    few, many = (
        forecast_run(
            [
                ShortRun(text_bytes=text * MB, peak=held * MIB, seconds=1.0)
                for text, held in ((12, 124), (50, 183), (205, last))
            ],
            text_bytes=1000 * MB,
            plan=plan,
            growth=measured(),
        ).peak
        for last in (206, 247)
    )
    assert many - few < 41 * MIB / 3
    assert few == pytest.approx(290 * MIB, rel=0.1)


def test_no_run_holds_more_for_fifteen_times_the_text() -> None:
    """Processes are exchanged before a table doubles once more."""
    plan = plan_budget(512 * MIB, family="gpt2", workers=None, cpus=2, reader=False, verify=True)
    one, fifteen = (simulate_peak(measured(), plan, text_bytes=size * 1000 * MB).moment for size in (1, 15))
    assert fifteen == pytest.approx(one, rel=0.05)
