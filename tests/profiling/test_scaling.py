"""From runs on beginnings of the input to all of it: lines are drawn on, curves are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.profiling.scaling import PREFIXES, ScalingForecast, ScalingRun, fit_line

if TYPE_CHECKING:
    from collections.abc import Callable

MIB, GIB = 1 << 20, 1 << 30


def run(need: Callable[[int], float], size: int, prefixes: tuple[float, ...] = PREFIXES) -> ScalingForecast | str:
    return fit_line(
        [ScalingRun(input_bytes=int(size * part), peak=int(need(int(size * part)))) for part in prefixes], size
    )


@settings(max_examples=80)
@given(
    base=st.integers(5 * MIB, 2 * GIB),
    per_byte=st.floats(0, 60),
    size=st.integers(64 * MIB, 20 * GIB),
    noise=st.lists(st.floats(-0.004, 0.004), min_size=3, max_size=3),
)
def test_a_line_is_recovered_and_the_truth_lies_in_the_band(
    base: int, per_byte: float, size: int, noise: list[float]
) -> None:
    """Runs of one program differ by some parts of a thousand."""
    runs = [
        ScalingRun(input_bytes=int(size * part), peak=int((base + per_byte * size * part) * (1 + off)))
        for part, off in zip(PREFIXES, noise, strict=True)
    ]
    forecast = fit_line(runs, size)
    assert isinstance(forecast, ScalingForecast)
    truth = base + per_byte * size
    assert forecast.low <= truth <= forecast.high
    assert forecast.low <= forecast.at_end <= forecast.high
    assert forecast.high - forecast.at_end >= 0.049 * forecast.at_end
    assert forecast.runs == tuple(runs)


def test_without_noise_it_is_exact() -> None:
    forecast = run(lambda size: 40 * MIB + 3.5 * size, GIB)
    assert isinstance(forecast, ScalingForecast)
    assert forecast.at_end == pytest.approx(40 * MIB + 3.5 * GIB, rel=1e-6)
    assert forecast.base == pytest.approx(40 * MIB, rel=1e-3)
    assert forecast.per_byte == pytest.approx(3.5)


def by_eighths(size: float) -> float:
    """A buffer that grows as CPython's lists do (Objects/listobject.c, list_resize), beside four times its content."""
    room = 0.0
    while room < size:
        room = max(room * 1.125, 1024)
    return room + 4 * size


@pytest.mark.parametrize("size", [300 * MIB, 1000 * MIB, 3000 * MIB])
def test_steps_of_a_growing_list_are_a_line(size: int) -> None:
    forecast = run(lambda part: 20 * MIB + by_eighths(part), size)
    assert isinstance(forecast, ScalingForecast)
    assert forecast.at_end == pytest.approx(20 * MIB + by_eighths(size), rel=0.15)


@pytest.mark.parametrize("base", [0, 100 * MIB, 300 * MIB])
@pytest.mark.parametrize(
    "curve",
    [
        lambda part: part * part * 4 * GIB,
        lambda part: min(part, 1 / 8) * 4 * GIB,
        lambda part: (part > 1 / 10) * GIB,
        lambda part: (1 - part) * GIB,
    ],
    ids=["n * n", "full at an eighth", "a jump", "falls"],
)
def test_a_curve_is_refused(base: int, curve: Callable[[float], float]) -> None:
    found = run(lambda size: base + curve(size / GIB), GIB)
    assert found == "memory does not grow in a straight line with the input"


def test_buffers_that_fill_up_are_not_carried_on() -> None:
    """A dataset of text lines, measured: 191, 275 and 392 MiB on its beginnings, and 995 on all of it."""
    seen = {11.9: 191, 23.8: 275, 47.7: 392}
    runs = [ScalingRun(input_bytes=round(size * MIB), peak=peak * MIB) for size, peak in seen.items()]
    found = fit_line(runs, round(190.7 * MIB))
    assert not isinstance(found, str)
    assert found.at_end == pytest.approx(995 * MIB, rel=0.15)


def test_what_streams_stays_flat() -> None:
    forecast = fit_line(
        [ScalingRun(input_bytes=s * MIB, peak=p * MIB) for s, p in ((64, 51), (128, 50), (256, 49))], GIB
    )
    assert isinstance(forecast, ScalingForecast)
    assert (forecast.at_end, forecast.per_byte) == (51 * MIB, 0.0)
    assert forecast.low <= 49 * MIB


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        ([], "3 runs are needed, and 0 succeeded"),
        ([64, 128], "3 runs are needed, and 2 succeeded"),
        ([64, 64, 128], "the input is too small: its parts are of the same size"),
    ],
)
def test_fewer_than_three_sizes_say_nothing(sizes: list[int], why: str) -> None:
    found = fit_line([ScalingRun(input_bytes=size * MIB, peak=size * MIB) for size in sizes], GIB)
    assert found == why
