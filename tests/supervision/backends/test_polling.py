"""The polling backend over made-up processes: what it counts, when it looks exactly, whom it stops."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.kernel.cgroup import freezer
from oomguard.kernel.model import LimitAbove
from oomguard.kernel.proc.files import ProcFiles
from oomguard.supervision.backends import polling as module
from oomguard.supervision.backends.polling import PollingBackend
from tests.supervision.fakes import BUDGET, MIB, FakeProc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REAPER = 100


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    """A reaper, and nothing below it; signals do to the made-up processes what they do to real ones."""
    made = FakeProc(tmp_path)
    made.put(REAPER, 1)

    def signal_if(pid: int, number: int, is_meant: Callable[[Any], bool]) -> Any:
        stat = ProcFiles(tmp_path).stat(pid)
        if stat is None or stat.state in "ZX" or not is_meant(stat):
            return None
        made.sent.append((pid, number))
        if number == signal.SIGSTOP:
            made.state(pid, "T")
        elif number == signal.SIGCONT:
            made.state(pid, "S")
        elif number == signal.SIGKILL:
            made.end(pid)
        return stat

    monkeypatch.setattr(module, "signal_if", signal_if)
    monkeypatch.setattr(freezer, "signal_if", signal_if)
    return made


def backend(proc: FakeProc, **options: Any) -> PollingBackend:
    made = PollingBackend(BUDGET, options.pop("above", []), root=proc.root, **options)
    made.watch_below(REAPER)
    return made


def test_all_below_the_reaper_counts_and_the_reaper_does_not(proc: FakeProc) -> None:
    proc.put(REAPER, 1, anon=50)
    proc.put(201, REAPER, anon=10)
    proc.put(202, 201, anon=20)
    proc.put(300, 1, anon=70)
    held = backend(proc)
    assert sorted(held.pids()) == [201, 202]
    reading = held.read_memory()
    assert reading.unreclaimable == 30 * MIB
    assert not reading.exact, "far from the budget an upper bound is enough"


def test_near_the_budget_shared_pages_count_once(proc: FakeProc) -> None:
    proc.put(201, REAPER, anon=60, pss=30)
    proc.put(202, 201, anon=60, pss=30)
    held = backend(proc)
    reading = held.read_memory()
    assert reading.exact
    assert reading.unreclaimable == 60 * MIB


def test_what_is_counted_twice_is_taken_off_until_it_is_measured_again(
    proc: FakeProc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two exact readings of the same processes, the bound less what it was found to count twice."""
    proc.put(201, REAPER, anon=45, pss=25)
    proc.put(202, 201, anon=45, pss=25)
    held = backend(proc)
    ticks = iter([0.0, 0.001, 0.002, 0.003, 0.004, 0.005])
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    assert held.read_memory().unreclaimable == 50 * MIB
    proc.put(202, 201, anon=50, pss=30)
    again = held.read_memory()
    assert (again.exact, again.unreclaimable) == (False, 55 * MIB)


def test_a_new_process_is_measured_at_once(proc: FakeProc) -> None:
    proc.put(201, REAPER, anon=90, pss=50)
    held = backend(proc)
    held.read_memory()
    proc.put(203, 201, anon=90, pss=50)
    reading = held.read_memory()
    assert (reading.exact, reading.unreclaimable) == (True, 100 * MIB)


def test_a_limit_above_lowers_the_budget_and_is_named(proc: FakeProc) -> None:
    held = backend(proc, above=[LimitAbove(whose="the memory limit of cgroup /x", limit=90 * MIB)])
    assert held.limits.budget < 90 * MIB
    assert "cgroup /x" in held.caveats[0]
    assert held.plan_budget(1 << 40).budget == held.plan_budget(BUDGET).budget


def test_freeze_stops_each_and_thaw_continues_only_those(proc: FakeProc) -> None:
    proc.put(201, REAPER)
    proc.put(202, 201, state="T")  # stopped by somebody else
    proc.put(203, 202)
    held = backend(proc)
    assert held.freeze()
    assert sorted(proc.sent) == [(201, signal.SIGSTOP), (203, signal.SIGSTOP)]
    proc.sent.clear()
    held.thaw()
    assert sorted(proc.sent) == [(201, signal.SIGCONT), (203, signal.SIGCONT)]
    proc.sent.clear()
    held.thaw()
    assert proc.sent == []


def test_a_process_that_does_not_stop_is_said(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a system call that goes on: after the patience, False."""
    proc.put(201, REAPER, state="R")
    monkeypatch.setattr(freezer, "signal_if", lambda *_: SimpleNamespace())
    monkeypatch.setattr(freezer, "_STOP_PATIENCE_SECONDS", 0.02)
    assert not backend(proc).freeze()


def test_kill_takes_all_and_what_was_forked_meanwhile(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc.put(201, REAPER)
    proc.put(202, 201)
    held = backend(proc)
    before = held.signal
    born = iter([203])

    def signal_and_fork(number: int) -> None:
        for pid in born:
            proc.put(pid, REAPER)
        before(number)

    monkeypatch.setattr(held, "signal", signal_and_fork)
    held.kill()
    assert held.pids() == []
    assert {pid for pid, number in proc.sent if number == signal.SIGKILL} == {201, 202, 203}
    assert REAPER not in {pid for pid, _ in proc.sent}


def test_signals_reach_only_those_that_are_meant(proc: FakeProc) -> None:
    proc.put(201, REAPER)
    proc.put(202, 201)
    backend(proc).signal(signal.SIGTERM, only=lambda pid: pid == 202)
    assert proc.sent == [(202, signal.SIGTERM)]


def test_swapped_out_memory_counts_and_swap_is_no_way_out(proc: FakeProc) -> None:
    proc.put(201, REAPER, anon=10)
    status = proc.root / "proc/201/status"
    status.write_text(status.read_text() + f"VmSwap:\t{30 << 10} kB\n")
    held = backend(proc)
    assert held.read_memory().unreclaimable == 40 * MIB
    assert held.swap_left() == 0


def test_another_budget_is_watched_for(proc: FakeProc) -> None:
    held = backend(proc)
    held.set_budget(held.plan_budget(3 * BUDGET), swap_max=0)
    assert held.limits.budget == 3 * BUDGET
