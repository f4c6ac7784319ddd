"""Budgets from within a program: oomguard.run(), and a block whose children are held together."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

import oomguard
from oomguard.errors import BadInput, BudgetExceeded, BudgetTooSmall, CannotStart
from tests.live.run_cases import CASES, Bystander, leftovers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.pairs]

MIB = 1 << 20


def test_a_command_that_ends_well(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        outcome = oomguard.run(["sh", "-c", "pwd; exit 3"], max_rss="100M", cwd=tmp_path, stdout=out)
    assert (outcome.exit_code, outcome.stopped_by, outcome.budget) == (3, None, 100 * MIB)
    assert (tmp_path / "out").read_text() == f"{tmp_path}\n"
    assert leftovers() == []


def test_a_command_that_is_ended_at_its_budget(tmp_path: Path) -> None:
    case = CASES["single"]
    (tmp_path / "hog.py").write_text(case.program)
    with Bystander() as bystander:
        outcome = oomguard.run([sys.executable, "hog.py"], max_rss=200 * MIB, cwd=tmp_path, stderr=subprocess.DEVNULL)
        assert bystander.end() == []
    assert (outcome.exit_code, outcome.stopped_by) == (137, "budget")
    assert f"hog.py:{case.line}" in outcome.where()
    assert outcome.peak_unreclaimable >= 190 * MIB
    assert leftovers() == []


def test_what_cannot_be_run_is_raised_here() -> None:
    with pytest.raises(CannotStart) as missing:
        oomguard.run(["no-such-program"], max_rss="100M")
    assert missing.value.exit_status == 127
    with pytest.raises(CannotStart) as folder:
        oomguard.run(["/etc"], max_rss="100M")
    assert folder.value.exit_status == 126
    with pytest.raises(BadInput, match="8 gigs"):
        oomguard.run(["true"], max_rss="8 gigs")
    with pytest.raises(BudgetTooSmall):
        oomguard.run(["true"], max_rss=1000)


def hold(size: int, seconds: float = 60) -> int:
    held = b"x" * size
    time.sleep(seconds)
    return len(held)


@pytest.fixture
def large_parent() -> bytearray:
    """300 MiB in this process, which its forked children share."""
    return bytearray(b"x") * (300 * MIB)


def test_children_that_stay_below_their_budget(large_parent: bytearray) -> None:
    """What they share with this process is not theirs, and what was there before is not touched."""
    before = subprocess.Popen([sys.executable, "-c", f"held = b'x' * {120 * MIB}; input()"], stdin=subprocess.PIPE)
    peak = 0
    with before:
        for seconds in (0.2, 1, 5, 20):  # on a busy machine nobody may have looked meanwhile
            with oomguard.budget("100M") as held:
                with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
                    assert list(pool.map(hold, [20 * MIB] * 4, [seconds] * 4)) == [20 * MIB] * 4
                assert held.outcome is None
            assert held.outcome is not None
            assert held.outcome.stopped_by is None
            if (peak := held.outcome.peak_unreclaimable) > 15 * MIB:
                break
    assert 15 * MIB < peak < 100 * MIB
    assert before.returncode == 1  # it read the end of its input: it was there before, and was not touched
    assert len(large_parent) == 300 * MIB


def test_children_that_pass_it_together_are_ended_and_the_line_is_named(large_parent: bytearray) -> None:
    with (
        pytest.raises(BudgetExceeded, match=r"budget was.*hold\((size=83886080(, seconds=60)?)?\)") as caught,
        oomguard.budget(150 * MIB, grace_seconds=0.5),
        ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool,
    ):
        list(pool.map(hold, [80 * MIB] * 3))
    assert isinstance(caught.value.__cause__, BrokenProcessPool)
    assert caught.value.outcome.stopped_by == "budget"
    held = caught.value.outcome.held_unreclaimable
    assert held is not None
    assert 150 * MIB <= held < 300 * MIB
    shares = [process.unreclaimable for process in caught.value.outcome.processes]
    assert 0.9 < sum(shares) / held < 1.1
    assert caught.value.do
    assert len(large_parent) == 300 * MIB


def spoil(_: int) -> int:
    """Write to each page of what was this process's when the child was forked."""
    for at in range(0, len(_inherited), 4096):
        _inherited[at] = 1
    time.sleep(60)  # until it is ended
    return len(_inherited)


_inherited = bytearray()


def test_what_a_child_writes_to_is_its_own_from_then_on() -> None:
    _inherited.extend(bytes(100 * MIB))
    try:
        with (
            pytest.raises(BudgetExceeded, match=r"budget was.*spoil"),
            oomguard.budget(150 * MIB, grace_seconds=0.5),
            ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool,
        ):
            list(pool.map(spoil, range(3)))
    finally:
        _inherited.clear()


def test_what_the_block_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), oomguard.budget("100M"):
        1 / 0  # noqa: B018
