"""`oomguard diagnose` on kernels, killers and users that this machine does not have. One boot; the others: make vmkills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vm.vmkills import boot, check

if TYPE_CHECKING:
    from tests.vm.machine import Facts, Machine

pytestmark = pytest.mark.live

STEPS = ("memcg", "oom-group", "earlyoom", "global-noswap", "plain-user", "container")


@pytest.fixture(scope="module")
def answers(machine: Machine) -> dict[str, Facts]:
    return boot(machine, "6.1", STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_it_says_who_killed_what_and_why(answers: dict[str, Facts], step: str) -> None:
    assert check(step, answers[step]) == []
