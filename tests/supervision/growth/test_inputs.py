"""What the supervisor says of the end, from the files that its job reads: only what a line can say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.model import OpenInput
from oomguard.supervision.growth import inputs as module
from oomguard.supervision.growth.forecast import Forecast
from oomguard.supervision.growth.inputs import InputGrowth, suggest_budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Reads = Callable[..., InputGrowth]

MIB, GIB = 1 << 20, 1 << 30


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
