"""How much some trials say of a range: against the binomial's own sums, and what is told of few trials."""

from __future__ import annotations

import importlib
from fractions import Fraction
from math import comb
from pathlib import Path

import pytest

from benchmarks import holding

BENCHMARKS = sorted(path.stem for path in Path(holding.__file__).parent.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize(("held", "trials"), [(200, 200), (190, 200), (39, 40), (1, 8)])
def test_the_least_part_is_that_at_which_so_many_would_be_one_in_twenty(held: int, trials: int) -> None:
    least = Fraction(holding.at_least(held, trials))
    reached = sum(comb(trials, n) * least**n * (1 - least) ** (trials - n) for n in range(held, trials + 1))
    assert float(reached) == pytest.approx(0.05, abs=1e-6)
    assert least < Fraction(held, trials)


def test_of_200_trials_the_part_is_judged_and_of_fewer_what_may_be_chance() -> None:
    assert [holding.is_as_promised(held, 200) for held in (189, 190)] == [False, True]
    assert [holding.is_as_promised(held, 40) for held in (35, 36)] == [False, True]
    assert not holding.is_as_promised(0, 0)


def test_few_trials_are_said_to_be_few() -> None:
    assert "200 trials are needed" in holding.say(40, 40)
    assert "needed" not in holding.say(199, 200)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_finds_what_it_imports(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")
