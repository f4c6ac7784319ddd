"""How soon a job is looked at again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.supervision.fakes import BUDGET, MIB, FakeBackend
from tests.supervision.test_supervisor import stage
from tests.supervision.test_supervisor_decisions import GIB, supervisor_of

if TYPE_CHECKING:
    from oomguard.supervision.supervisor import Supervisor
    from tests.supervision.test_supervisor import Stage

__all__ = ["stage"]  # a fixture


def step(supervisor: Supervisor, unreclaimable: int) -> float:
    samples, budget = supervisor._record.samples, supervisor._backend.limits.budget
    return supervisor._pace.step(unreclaimable, budget=budget, is_seeking=samples.is_seeking)


@pytest.mark.parametrize(
    ("headroom", "seconds"),
    [(60 * MIB, 60 * MIB / 6e9), (6 * MIB, 0.002), (0, 0.002), (-MIB, 0.002)],
    ids=["as fast as memory can grow", "no sooner than in 2 ms", "at the budget", "over it"],
)
def test_it_looks_again_before_the_budget_can_be_reached(stage: Stage, headroom: int, seconds: float) -> None:
    assert step(supervisor_of(stage, FakeBackend([0])), BUDGET - headroom) == pytest.approx(seconds)


def test_with_a_large_budget_it_looks_every_half_second(stage: Stage) -> None:
    backend = FakeBackend([0])
    backend.limits = backend.plan_budget(100 * GIB)
    assert step(supervisor_of(stage, backend), 1) == 0.5


def test_where_the_kernel_tells_of_the_budget_it_looks_less_often(stage: Stage) -> None:
    assert step(supervisor_of(stage, FakeBackend([0], kind="cgroup v2")), BUDGET) == 0.01


def test_a_job_that_stays_near_its_budget_is_looked_at_less_often_until_it_grows(stage: Stage) -> None:
    supervisor = supervisor_of(stage, FakeBackend([0]))
    steps = [step(supervisor, BUDGET - MIB) for _ in range(18)]
    assert steps == [0.002] * 17 + [0.02]
    assert step(supervisor, BUDGET - MIB + (1 << 16)) == 0.02, "one step of growth that is none"
    assert step(supervisor, BUDGET - MIB + (1 << 17) + 1) == 0.002
    steps = [step(supervisor, BUDGET - MIB - (1 << 18)) for _ in range(3)]
    assert steps == [0.002] * 3, "what shrinks may grow again"


def test_a_job_that_is_only_met_asleep_is_looked_at_more_often_from_half_of_its_budget_on(stage: Stage) -> None:
    supervisor = supervisor_of(stage, FakeBackend([0]))
    ledger: Any = SimpleNamespace(is_seeking=True)
    supervisor._record.samples.ledger = ledger
    assert step(supervisor, BUDGET * 6 // 10) == 0.002
    assert step(supervisor, BUDGET * 4 // 10) > 0.002
    ledger.is_seeking = False
    assert step(supervisor, BUDGET * 6 // 10) > 0.002


def test_a_job_that_has_grown_asleep_and_sleeps_on_is_left_in_peace(stage: Stage) -> None:
    supervisor = supervisor_of(stage, FakeBackend([0]))
    supervisor._record.samples.ledger = SimpleNamespace(is_seeking=True)  # type: ignore[assignment]
    steps = [step(supervisor, BUDGET * 6 // 10) for _ in range(1000)]
    grown = steps.count(0.002)
    assert grown == 500
    assert steps[:grown] == [0.002] * grown


def test_only_near_its_budget_the_kernels_word_is_waited_for(stage: Stage) -> None:
    """v2 tells of every reclaim, also while only page cache is there to reclaim."""
    supervisor = supervisor_of(stage, FakeBackend([0]))
    step(supervisor, BUDGET // 2)
    assert not supervisor._pace.is_near
    step(supervisor, BUDGET // 2 + 1)
    assert supervisor._pace.is_near
