"""The limits of a job: whatever was asked for and whatever holds above, in the order that the kernel needs them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.supervision.rules.limits import LEAST_BUDGET, LimitAbove, plan_job_limits, reserve_of

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
SIZES = st.integers(LEAST_BUDGET, 4 * TIB)


@given(asked=SIZES, above=st.lists(SIZES, max_size=4))
def test_never_above_what_holds_already(asked: int, above: list[int]) -> None:
    limits = plan_job_limits(asked, [LimitAbove(whose=f"cgroup {n}", limit=limit) for n, limit in enumerate(above)])
    assert 0 < limits.budget <= asked
    assert limits.budget <= limits.slow <= limits.hard <= min([*above, limits.hard])
    assert limits.hard % 4096 == 0 or limits.hard == limits.budget
    assert limits.grace > limits.hard
    lowered = limits.budget < asked
    assert lowered is bool(limits.notes)
    if lowered:
        assert f"cgroup {above.index(min(above))} is" in limits.notes[0]  # whose it is


@given(budget=SIZES)
def test_what_was_asked_for_is_what_is_had(budget: int) -> None:
    limits = plan_job_limits(budget, [LimitAbove(whose="x", limit=budget + reserve_of(budget))])
    assert limits.budget == budget
    assert limits.notes == ()


@pytest.mark.parametrize(("budget", "reserve"), [(MIB, 16), (200 * MIB, 25), (12 * GIB, 256), (TIB, 256)])
def test_reserve(budget: int, reserve: int) -> None:
    assert reserve_of(budget) == reserve * MIB


def test_less_than_a_process_needs_is_a_callers_bug() -> None:
    with pytest.raises(ValueError, match="at least"):
        plan_job_limits(LEAST_BUDGET - 1, [])
