"""The straight line of memory against the position in the input, and when there is none to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.kernel.model import OpenInput
from oomguard.supervision.growth import forecast as module
from oomguard.supervision.growth.forecast import Forecast, InputGrowth, ReadSample, forecast_end, suggest_budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Reads = Callable[..., InputGrowth]

MIB, GIB = 1 << 20, 1 << 30
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


def at(position: int, *, pid: int = 7, path: str = "/data/train.txt") -> OpenInput:
    return OpenInput(pid=pid, path=path, position=position, size=GIB)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """A job that holds `kept` bytes for each that it read, looked at with these files open."""

    def look(moments: Iterable[list[OpenInput]], kept: int = 3) -> InputGrowth:
        growth = InputGrowth()
        for opened in moments:
            monkeypatch.setattr(module, "read_open_inputs", lambda _, now=opened: now)
            growth.look([7])
            growth.take(30 * MIB + kept * sum(one.position for one in opened))
        return growth

    return look


STEPS = [GIB // 5 * step // 20 for step in range(21)]


def test_a_fifth_tells_of_the_whole(reads: Reads) -> None:
    found = reads([at(step)] for step in STEPS).forecast()
    assert found is not None
    assert found[0].at_end == pytest.approx(30 * MIB + 3 * GIB, rel=0.01)
    assert found[1] == at(STEPS[-1])


@pytest.mark.parametrize(
    "moments",
    [
        [*([at(step)] for step in STEPS), [at(0)], *([at(step)] for step in STEPS)],
        [[at(step), at(step + 50 * MIB, pid=8)] for step in STEPS[1:]],
        [[at(step), at(step, path="/data/more.txt")] for step in STEPS],
        [*([at(step)] for step in STEPS), []],
        [[at(GIB)]],
    ],
    ids=["it is read a second time", "two processes read it", "two files", "it is closed", "it was read in one go"],
)
def test_what_no_line_can_say_is_not_said(reads: Reads, moments: list[list[OpenInput]]) -> None:
    assert reads(moments).forecast() is None


def test_a_program_that_streams_is_not_warned(reads: Reads) -> None:
    assert reads(([at(step)] for step in STEPS), kept=0).forecast() is None


@pytest.mark.parametrize(
    ("at_end", "available", "suggested"),
    [
        (2 * GIB, 64 * GIB, 2252 * MIB),
        (None, 64 * GIB, 1536 * MIB),
        (8 * GIB, GIB, 1945 * MIB),
        (None, 0, 1024 * MIB),
        (None, None, 1536 * MIB),
    ],
    ids=["a tenth more than the line says", "half as much again", "what is there", "nothing is there", "nobody knows"],
)
def test_the_budget_that_is_suggested(
    monkeypatch: pytest.MonkeyPatch, at_end: int | None, available: int | None, suggested: int
) -> None:
    monkeypatch.setattr(module, "read_available", lambda: available)
    line = None if at_end is None else Forecast(at_end=at_end, base=0, per_byte=1.0, read_fraction=0.2, residual=0)
    assert suggest_budget(GIB, None if line is None else (line, at(0))) == suggested
