"""A budget's parts never add up to more than it, and the minimum it names is the minimum."""

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oomguard.errors import BudgetTooSmall
from oomguard.preparation.engines.memory_sum import (
    BudgetPlan,
    Input,
    Needs,
    budget_with_room,
    plan_budget,
    smallest_budget,
)
from oomguard.units import GIB, MIB

budgets = st.one_of(st.integers(30 * MIB, 2 * GIB), st.integers(30 * MIB, 200 * GIB))
workers = st.one_of(st.none(), st.integers(1, 8))
needs = st.builds(
    Needs,
    family=st.sampled_from(["gpt2", "cl100k", "o200k"]),
    token_bytes=st.sampled_from([2, 4]),
    inputs=st.sets(st.sampled_from(["text", "lines", "rows"]), min_size=1).map(frozenset),
    stream=st.booleans(),
    native=st.booleans(),
    remote=st.sets(st.booleans()).map(frozenset),
    verify=st.booleans(),
    chunks=st.just(1 << 20),
    page=st.one_of(st.none(), st.integers(0, 100 * MIB)),
    ahead=st.one_of(st.just(0), st.integers(16 * MIB, 2 * GIB)),
)
TEXT = Needs(
    family="gpt2", token_bytes=2, inputs=frozenset({"text"}), stream=False, native=True, verify=True, chunks=1000
)


def plan(budget: int, needs: Needs, *, workers: int | None = None, cpus: int = 2) -> BudgetPlan | None:
    try:
        return plan_budget(budget, needs=needs, workers=workers, cpus=cpus)
    except BudgetTooSmall:
        return None


@given(budget=budgets, needs=needs, workers=workers, cpus=st.integers(1, 64))
def test_the_sum_is_below_the_budget(budget: int, needs: Needs, workers: int | None, cpus: int) -> None:
    """With room for the kernel's own tables, and for what a chunk may take while it is alone."""
    made = plan(budget, needs, workers=workers, cpus=cpus)
    assume(made is not None)
    assert made is not None
    assert made.sum < budget
    assert needs.ahead <= made.alone <= made.together + (made.workers - 1) * made.piece_bytes
    if needs.page is None or made.page == needs.page:  # else what one page takes beyond the usual is in the sum too
        assert made.sum + made.together <= budget
    assert 1 <= made.workers <= (workers or cpus)
    assert workers is None or made.workers == workers
    assert made.slots >= 2 * made.workers + 1
    assert made.longest_piece >= max(2 * made.piece_bytes, made.longest_word, made.largest_document)


@given(budget=budgets, more=st.integers(0, 10 * GIB), needs=needs)
def test_more_memory_is_never_fewer_workers(budget: int, more: int, needs: Needs) -> None:
    small, large = plan(budget, needs, cpus=8), plan(budget + more, needs, cpus=8)
    assume(small is not None)
    assert small is not None and large is not None
    assert small.workers <= large.workers
    if small.workers == large.workers:
        assert small.cache_bits <= large.cache_bits


@given(needs=needs, workers=workers, asked=st.integers(1, 30 * MIB))
def test_the_minimum_that_is_named_is_the_minimum(needs: Needs, workers: int | None, asked: int) -> None:
    """What the error says to paste is accepted, and one MiB less is not."""
    with pytest.raises(BudgetTooSmall) as caught:
        plan_budget(asked, needs=needs, workers=workers, cpus=2)
    named = int(re.findall(r"--max-rss (\d+)M", caught.value.do)[0]) * MIB
    assert plan(named, needs, workers=workers) is not None
    assert plan(named - MIB, needs, workers=workers) is None
    least = smallest_budget(needs=needs, workers=workers or 1)
    assert plan(least, needs, workers=workers) is not None
    assert plan(least - 2, needs, workers=workers) is None


def test_the_error_offers_what_would_help() -> None:
    """Fewer workers only where one fits, and no verifying only where there is any."""
    with pytest.raises(BudgetTooSmall, match=r"8 workers do not fit in 100 MiB.*at least") as caught:
        plan_budget(100 * MIB, needs=TEXT, workers=8, cpus=8)
    assert "fewer --workers" in caught.value.do
    with pytest.raises(BudgetTooSmall, match="one worker does not fit") as caught:
        plan_budget(40 * MIB, needs=TEXT, workers=None, cpus=8)
    assert "fewer --workers" not in caught.value.do
    assert "--verify off" in caught.value.do


@pytest.mark.parametrize(("megabytes", "inputs"), [(96, "text"), (160, "lines"), (192, "rows")])
def test_two_workers_fit_in_little(megabytes: int, inputs: Input) -> None:
    """gpt2 with a sample verified; also with a stream of lines."""
    stream = inputs == "lines"
    needs = Needs(
        family="gpt2", token_bytes=2, inputs=frozenset({inputs}), stream=stream, native=True, verify=True, chunks=1000
    )
    made = plan(megabytes * MIB, needs)
    assert made is not None
    assert made.workers == 2


def test_what_the_program_held_before_is_in_the_sum() -> None:
    """A few MiB are those of oomguard itself; a model that is loaded is not, and the budget is for all of it."""
    alone, little, much = (plan(4 * GIB, replace(TEXT, held=held * MIB)) for held in (0, 10, 212))
    assert alone == little
    assert alone is not None and much is not None
    assert much.sum == alone.sum + 200 * MIB
    with pytest.raises(BudgetTooSmall, match="at least 2[0-9]{2}"):
        plan_budget(200 * MIB, needs=replace(TEXT, held=212 * MIB), workers=1, cpus=1)


def test_states_get_half_of_a_small_budget() -> None:
    """JSON Lines under 96M: with the smallest states two workers had two thirds of their speed under 2G."""
    made = plan(96 * MIB, replace(TEXT, inputs=frozenset({"lines"})))
    assert made is not None
    assert made.workers == 2
    assert made.cache_bits >= 14
    assert made.largest_document >= 2 * MIB


def test_many_workers_have_smaller_states() -> None:
    """Each further one adds less: what two have is of no use where it does not stay in the processor's cache."""
    two, four, eight, many, more = (plan(64 * GIB, TEXT, cpus=cpus) for cpus in (2, 4, 8, 32, 33))
    assert two is not None and four is not None and eight is not None and many is not None and more is not None
    assert (two.cache_bits, four.cache_bits, eight.cache_bits, many.cache_bits) == (17, 16, 15, 15)
    assert eight.sum - two.sum <= 6 * 20 * MIB
    assert more.sum - many.sum < 25 * MIB


def test_short_runs_have_smaller_states() -> None:
    """To clear a large one takes longer than it saves there; a run of a tenth of a gigabyte has that of all longer ones."""
    made = [plan(64 * GIB, replace(TEXT, chunks=chunks)) for chunks in (1, 2, 3, 8, 9, 32, 33, 1000, 1 << 20)]
    assert [one.cache_bits for one in made if one is not None] == [14, 14, 15, 15, 16, 16, 17, 17, 17]


@pytest.mark.parametrize("inputs", ["text", "lines"])
def test_chunks_are_large_only_where_much_is_left(inputs: Input) -> None:
    needs = Needs(
        family="gpt2", token_bytes=2, inputs=frozenset({inputs}), stream=False, native=True, verify=True, chunks=1000
    )
    small, large = plan(256 * MIB, needs), plan(1024 * MIB, needs)
    assert small is not None
    assert large is not None
    assert (small.piece_bytes, large.piece_bytes) == (MIB, 2 * MIB)
    assert large.sum + 256 * MIB <= large.budget


ROWS = Needs(
    family="gpt2", token_bytes=2, inputs=frozenset({"rows"}), stream=False, native=True, verify=True, chunks=1000
)


def test_one_worker_with_room_for_a_page_goes_before_two_without() -> None:
    needs = replace(ROWS, page=13 * MIB, page_text=9 * MIB)  # as 1,000 documents of 9 kB make one
    made = plan(144 * MIB, needs)
    assert made is not None
    assert (made.workers, made.page) == (1, needs.page)
    with pytest.raises(BudgetTooSmall, match="2 workers do not fit") as caught:
        plan_budget(144 * MIB, needs=needs, workers=2, cpus=2)  # nor has one page room while the other worker waits
    named = int(re.findall(r"--max-rss (\d+)M", caught.value.do)[0])
    asked = plan_budget(named * MIB, needs=needs, workers=2, cpus=2)
    assert asked.workers == 2  # who asks for them gets them
    assert asked.page < 13 * MIB  # and its large pages go one after the other
    assert asked.alone >= 13 * MIB - asked.page + 9 * MIB  # as RowFeed reckons it


@given(budget=budgets, small=st.integers(0, 64 * MIB), more=st.integers(0, 64 * MIB), count=workers)
def test_larger_pages_are_in_the_sum(budget: int, small: int, more: int, count: int | None) -> None:
    """They take more for each worker, or there are fewer; a budget that is accepted has room for one of them alone."""
    low, high = (
        plan(budget, replace(ROWS, page=page, page_text=page), workers=count) for page in (small, small + more)
    )
    assert low is not None or high is None
    if high is not None and high.page < small + more:
        assert high.alone >= small + more - high.page + small + more
    if low and high and low.workers == high.workers and low.cache_bits == high.cache_bits:
        assert low.sum <= high.sum
        assert low.page <= high.page


@pytest.mark.parametrize("budget", [96, 112, 128])
def test_pages_of_the_usual_size_fit_in_little(budget: int) -> None:
    """Pages of one MiB with a dictionary, as pyarrow makes them."""
    assert plan(budget * MIB, replace(ROWS, page=4 * MIB, page_text=3 * MIB // 2)) is not None


@given(needs=needs, workers=workers, alone=st.integers(1, 2 * GIB), now=st.integers(0, GIB))
def test_the_budget_named_for_a_large_chunk_allows_it(needs: Needs, workers: int | None, alone: int, now: int) -> None:
    """The error that refuses a word or a document names a budget, no smaller one, and with it there is the room."""
    named = budget_with_room(alone, needs=needs, workers=workers, cpus=2, at_least=now)
    assert named >= now
    made = plan(named, needs, workers=workers)
    assert made is not None
    assert made.alone >= alone
