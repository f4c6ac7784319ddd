"""The limits of a job: whatever was asked for and whatever holds above, in the order that the kernel needs them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.kernel.model import LEAST_BUDGET, SUPERVISOR_MEMORY, LimitAbove
from oomguard.supervision.rules.limits import JobLimits, plan_job_limits, reserve_of

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
SIZES = st.integers(LEAST_BUDGET, 4 * TIB)


@given(asked=SIZES, above=st.lists(SIZES, max_size=4))
def test_never_above_what_holds_already(asked: int, above: list[int]) -> None:
    limits = plan_job_limits(asked, [LimitAbove(whose=f"cgroup {n}", limit=limit) for n, limit in enumerate(above)])
    assert 0 < limits.budget <= asked
    assert limits.budget <= limits.slow <= limits.hard <= min([*above, limits.hard])
    assert limits.hard % 4096 == 0 or limits.hard == limits.budget
    assert limits.hard <= limits.grace <= min([*above, limits.hard + 8 * MIB])
    lowered = limits.budget < asked
    assert lowered is bool(limits.notes)
    if lowered:
        assert f"cgroup {above.index(min(above))} is" in limits.notes[0]  # whose it is


PAGE = 4096
BESIDE = st.sampled_from([0, SUPERVISOR_MEMORY])
# Where the old plan failed, from a container's 64 MiB to where the reserve has its most, and everything else.
LIMITS = st.one_of(st.integers(64 * MIB, 3 * GIB), SIZES)


def under(limit: int, beside: int, asked: int) -> JobLimits:
    return plan_job_limits(asked, [LimitAbove(whose="the container", limit=limit, beside=beside)])


def fits(budget: int, limit: int, beside: int) -> bool:
    """With what the guard needs for itself, and room for a burst: an eighth, or as much as itself if it is small."""
    return budget + min(reserve_of(budget), budget) + beside <= limit


@given(limit=LIMITS, beside=BESIDE, asked=SIZES)
def test_under_a_limit_it_is_the_largest_that_fits(limit: int, beside: int, asked: int) -> None:
    """Not one page more would; and what fits is had whole."""
    budget = under(limit, beside, asked).budget
    if fits(asked, limit, beside):
        assert budget == asked
    elif limit >= beside + 2 * LEAST_BUDGET:
        assert fits(budget, limit, beside)
        assert not fits(budget + PAGE, limit, beside)


@given(limit=LIMITS, more=st.integers(0, GIB), beside=BESIDE, asked=SIZES, asked_more=st.integers(0, GIB))
def test_more_room_or_a_larger_wish_never_give_less(
    limit: int, more: int, beside: int, asked: int, asked_more: int
) -> None:
    budget = under(limit, beside, asked).budget
    assert under(limit + more, beside, asked).budget >= budget
    assert under(limit, beside, asked + asked_more).budget >= budget


@pytest.mark.parametrize(
    ("limit", "least"), [(257, 190), (272, 200), (300, 225), (512, 410), (1024, 865), (2048, 1770), (4096, 3790)]
)
def test_a_container_keeps_most_of_its_memory_for_the_job(limit: int, least: int) -> None:
    """From 257 MiB to 2.25 GiB it was cut for nothing, down to 1 MiB."""
    assert least * MIB <= under(limit * MIB, SUPERVISOR_MEMORY, limit * MIB).budget < limit * MIB


@given(budget=SIZES)
def test_what_was_asked_for_is_what_is_had(budget: int) -> None:
    limits = plan_job_limits(budget, [LimitAbove(whose="x", limit=budget + reserve_of(budget))])
    assert limits.budget == budget
    assert limits.notes == ()
    alone = plan_job_limits(budget, [])
    assert alone.hard == (budget + reserve_of(budget)) // PAGE * PAGE
    assert alone.grace == alone.hard + 8 * MIB  # room for the code that ends it; who ignores SIGTERM takes it all
    assert alone.slow == budget + (alone.hard - budget) // 2 // PAGE * PAGE


@pytest.mark.parametrize(("budget", "reserve"), [(MIB, 16), (200 * MIB, 25), (12 * GIB, 256), (TIB, 256)])
def test_reserve(budget: int, reserve: int) -> None:
    assert reserve_of(budget) == reserve * MIB


def test_less_than_a_process_needs_is_a_callers_bug() -> None:
    with pytest.raises(ValueError, match="at least"):
        plan_job_limits(LEAST_BUDGET - 1, [])


@given(budget=SIZES)
def test_without_a_reserve_the_hard_limit_is_the_budget(budget: int) -> None:
    """In whole pages, as the kernel keeps it."""
    limits = plan_job_limits(budget, [], reserve=False)
    assert limits.hard == limits.budget == budget // 4096 * 4096
    assert limits.slow == limits.budget


@pytest.mark.parametrize("room", [0, 1, PAGE - 1, PAGE, 2 * PAGE - 1])
@pytest.mark.parametrize("reserve", [True, False])
def test_where_there_is_no_room_a_page_is_left(room: int, reserve: bool) -> None:
    """The kernel takes no limit of nothing; the job is held as soon as it begins."""
    above = [LimitAbove(whose="the container", limit=room)]
    assert plan_job_limits(LEAST_BUDGET, above, reserve=reserve).budget == PAGE


def test_a_part_of_a_page_less_than_was_asked_for_is_no_news() -> None:
    asked = 100 * MIB

    def notes(room: int) -> tuple[str, ...]:
        return plan_job_limits(asked, [LimitAbove(whose="the container", limit=room)], reserve=False).notes

    assert notes(asked - PAGE + 1) != ()  # in whole pages it is one less
    assert notes(asked) == ()
    assert plan_job_limits(asked + 1, [], reserve=False).notes == ()


def test_a_limit_above_is_named_with_what_oomguard_itself_needs_of_it() -> None:
    whole, less = (under(200 * MIB, beside, 200 * MIB).notes for beside in (0, 20 * MIB))
    assert whole == ("the container is 200 MiB: the job is held at 178 MiB, not at 200 MiB",)
    assert less == (
        "the container is 200 MiB, and oomguard itself needs 20.0 MiB of it: the job is held at 160 MiB, not at 200 MiB",
    )
