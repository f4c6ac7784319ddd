"""The straight line of memory against the position in the input, and when there is none to draw."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.supervision.growth.forecast import ReadSample, forecast_end

MIB, GIB = 1 << 20, 1 << 30


def line(base: int, per_byte: float, positions: list[int]) -> list[ReadSample]:
    return [ReadSample(position=x, unreclaimable=int(base + per_byte * x)) for x in positions]


@settings(max_examples=40)
@given(
    base=st.integers(0, 4 * GIB),
    per_byte=st.floats(0.05, 50),
    size=st.integers(100 * MIB, 20 * GIB),
    read=st.floats(0.05, 1.0),
    noise=st.integers(-200_000, 200_000),
)
def test_a_straight_line_is_drawn_to_the_end(base: int, per_byte: float, size: int, read: float, noise: int) -> None:
    """Whatever the slope, and with a little noise, the value at the end is the line's."""
    samples = line(base, per_byte, [int(size * read * step / 10) for step in range(11)])
    samples[5] = ReadSample(position=samples[5].position, unreclaimable=max(0, samples[5].unreclaimable + noise))
    forecast = forecast_end(samples, size)
    rise = per_byte * size * read
    if forecast is None:
        assert abs(noise) > 0.1 * rise
        return
    assert forecast.at_end == pytest.approx(base + per_byte * size, rel=0.02, abs=abs(noise) / read + 10)
    assert forecast.read_fraction == pytest.approx(read, rel=1e-3)


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (line(0, 2.0, [0, 1 * MIB, 2 * MIB]), "too few"),
        (line(0, 2.0, [step * MIB for step in range(10)]), "9 MiB of 1 GiB say nothing"),
        (line(0, 2.0, [100 * MIB, 200 * MIB, 300 * MIB, 0, 100 * MIB, 200 * MIB]), "read twice"),
        (line(0, 2.0, [500 * MIB] * 8), "it does not read"),
        (line(3 * GIB, -1.0, [step * 50 * MIB for step in range(10)]), "memory falls"),
        ([ReadSample(position=s * 50 * MIB, unreclaimable=(s == 9) * GIB) for s in range(10)], "a jump, no line"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_line_is_drawn(samples: list[ReadSample], why: str) -> None:
    assert forecast_end(samples, GIB) is None, why
