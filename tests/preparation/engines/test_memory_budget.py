"""A budget's parts never add up to more than it, and the minimum it names is the minimum."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oomguard.errors import BudgetTooSmall
from oomguard.preparation.encoding.safe_cuts import Family
from oomguard.preparation.engines.memory_budget import (
    COORDINATOR,
    READER,
    BudgetPlan,
    budget_for_word,
    forked_bytes,
    nursery_bytes,
    plan_budget,
    smallest_budget,
)
from oomguard.units import GIB, MIB

families = st.sampled_from(["gpt2", "cl100k", "o200k"])
budgets = st.one_of(st.integers(60 * MIB, 2 * GIB), st.integers(60 * MIB, 200 * GIB))
workers = st.one_of(st.none(), st.integers(1, 8))
PIECES_EACH = 3  # two under way, and the tokens of one
DOUBLING = 2.8  # of a tokenizer's memory, measured: old and new table for a moment
LEAST = 8 * MIB  # growth, where the budget is the smallest: its doubling is what the reserve is for


def plan(budget: int, **options: Any) -> BudgetPlan | None:
    defaults: dict[str, Any] = {"family": "gpt2", "workers": None, "cpus": 2, "reader": False, "verify": True}
    try:
        return plan_budget(budget, **{**defaults, **options})
    except BudgetTooSmall:
        return None


@given(
    budget=budgets,
    family=families,
    workers=workers,
    cpus=st.integers(1, 64),
    reader=st.booleans(),
    verify=st.booleans(),
)
def test_the_parts_are_below_the_budget(
    budget: int, family: Family, workers: int | None, cpus: int, reader: bool, verify: bool
) -> None:
    """Coordinator, reader, nursery, and each encoder with its table doubling and its pieces; a tenth is left over."""
    made = plan(budget, family=family, workers=workers, cpus=cpus, reader=reader, verify=verify)
    assume(made is not None)
    pieces = made.workers * PIECES_EACH * made.piece_bytes
    held: float = COORDINATOR + reader * READER + nursery_bytes(family) + pieces
    if made.workers > 1:
        held += min(2.1 * made.learn, made.growth) + made.workers * forked_bytes()
    held += made.workers * (made.growth * DOUBLING if made.growth > LEAST else LEAST)
    assert 10 * held <= 9 * budget + 10 * made.workers * LEAST * (made.growth == LEAST)
    assert 10 * (COORDINATOR + made.largest_document) <= 9 * budget
    assert 1 <= made.workers <= (workers or cpus)
    assert workers is None or made.workers == workers
    assert made.slots >= 2 * made.workers + 1
    assert made.longest_piece >= 2 * made.piece_bytes >= MIB
    assert made.longest_piece >= made.longest_word


@given(budget=budgets, family=families, reader=st.booleans(), verify=st.booleans())
def test_the_longest_word_fits(budget: int, family: Family, reader: bool, verify: bool) -> None:
    """A word that the plan accepts is encoded by one worker alone without going over the budget."""
    made = plan(budget, family=family, reader=reader, verify=verify)
    assume(made is not None and made.longest_word > MIB // 4)
    assert budget_for_word(made.longest_word, family=family, reader=reader, verify=verify) <= budget


@given(budget=budgets, more=st.integers(0, 10 * GIB), family=families, workers=st.integers(1, 8), reader=st.booleans())
def test_more_memory_is_never_worse(budget: int, more: int, family: Family, workers: int, reader: bool) -> None:
    """With a fixed number of workers everything grows or stays; left to itself the number of workers does."""
    small = plan(budget, family=family, workers=workers, reader=reader)
    large = plan(budget + more, family=family, workers=workers, reader=reader)
    assume(small is not None)
    assert large is not None
    for part in (
        "workers",
        "piece_bytes",
        "learn",
        "growth",
        "longest_word",
        "longest_piece",
        "largest_document",
        "slots",
    ):
        assert getattr(small, part) <= getattr(large, part), part
    free, freer = plan(budget, cpus=8, reader=reader), plan(budget + more, cpus=8, reader=reader)
    assert free is None or (freer is not None and free.workers <= freer.workers)


@given(family=families, workers=workers, reader=st.booleans(), verify=st.booleans(), asked=st.integers(1, 60 * MIB))
def test_the_minimum_that_is_named_is_the_minimum(
    family: Family, workers: int | None, reader: bool, verify: bool, asked: int
) -> None:
    """What the error says to paste is accepted, and one MiB less is not."""
    options: dict[str, Any] = {"family": family, "workers": workers, "reader": reader, "verify": verify, "cpus": 2}
    with pytest.raises(BudgetTooSmall) as caught:
        plan_budget(asked, **options)
    named = int(re.findall(r"--max-rss (\d+)M", caught.value.do)[0]) * MIB
    assert plan(named, **options) is not None
    assert plan(named - MIB, **options) is None
    least = smallest_budget(family=family, workers=workers or 1, reader=reader, verify=verify)
    assert plan(least, **options) is not None
    assert plan(least - 1, **options) is None


def test_the_error_offers_what_would_help() -> None:
    """Fewer workers only where one fits, and no verifying only where there is any."""
    with pytest.raises(BudgetTooSmall, match=r"8 workers do not fit in 256 MiB.*at least") as caught:
        plan_budget(256 * MIB, family="gpt2", workers=8, cpus=8, reader=False, verify=False)
    assert "fewer --workers" in caught.value.do
    assert "--verify" not in caught.value.do
    with pytest.raises(BudgetTooSmall, match="one worker does not fit") as caught:
        plan_budget(64 * MIB, family="gpt2", workers=None, cpus=8, reader=False, verify=True)
    assert "fewer --workers" not in caught.value.do
    assert "--verify off" in caught.value.do


@pytest.mark.parametrize("family", ["gpt2", "cl100k", "o200k"])
def test_256_mib_is_enough_for_every_encoding(family: Family) -> None:
    """With a reader too; o200k without the reference."""
    assert plan(256 * MIB, family=family, reader=True, verify=family != "o200k") is not None


@given(size=st.integers(1, 64 * MIB), family=families, reader=st.booleans(), verify=st.booleans())
def test_the_budget_named_for_a_word_allows_it(size: int, family: Family, reader: bool, verify: bool) -> None:
    """The error that refuses a word names a budget, and with it the word is encoded."""
    named = budget_for_word(size, family=family, reader=reader, verify=verify)
    made = plan(named, family=family, reader=reader, verify=verify)
    assume(made is not None)  # a short word that was refused needs more than the least budget
    assert made.longest_word >= size
