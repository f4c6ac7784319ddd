"""The polling backend over made-up processes: what it counts, when it looks exactly, whom it stops."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.kernel.cgroup import freezer
from oomguard.kernel.model import LimitAbove
from oomguard.kernel.proc import ProcFiles
from oomguard.supervision.backends import polled_memory, tree_members
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

    monkeypatch.setattr(tree_members, "signal_if", signal_if)
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


def test_far_from_the_budget_the_bound_holds_and_what_is_likely_is_told(proc: FakeProc) -> None:
    """A child that shares 16 of its 20 MiB with its parent: the job holds 24, and no more than 40."""
    proc.put(201, REAPER, anon=20)
    held = backend(proc)
    assert held.read_memory().for_people == 20 * MIB
    proc.put(201, REAPER, anon=20, pss=12)
    proc.put(202, 201, anon=20, pss=12)
    reading = held.read_memory()
    assert (reading.unreclaimable, reading.for_people, reading.exact) == (40 * MIB, 24 * MIB, False)
    proc.put(202, 201, anon=22, pss=14)
    assert held.read_memory().for_people == 26 * MIB
    assert held.read_memory(exact=True).unreclaimable == 26 * MIB


def test_how_much_is_shared_is_seldom_looked_at_far_from_the_budget(
    proc: FakeProc, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([0.0, 0.01, 1.5, 2.2, 2.21])  # a look takes 0.01 s, so the next is two seconds later
    monkeypatch.setattr(polled_memory, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    proc.put(201, REAPER, anon=20, pss=15)
    proc.put(202, 201, anon=20, pss=15)
    held = backend(proc)
    assert held.read_memory().for_people == 30 * MIB
    proc.put(202, 201, anon=25, pss=25)  # what it shared is its own now, and 5 MiB are new
    assert held.read_memory().for_people == 35 * MIB
    assert held.read_memory().for_people == 40 * MIB


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
    monkeypatch.setattr(polled_memory, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
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


def test_nothing_but_looking_tells_of_the_budget(proc: FakeProc) -> None:
    held = backend(proc)
    assert held.wake_on() == []
    assert (held.is_at_the_limit(), held.met_its_limit(), held.peak_with_cache(), held.swap_left()) == (
        False,
        False,
        None,
        0,
    )


def test_before_there_is_a_reaper_there_is_no_process(proc: FakeProc) -> None:
    assert PollingBackend(BUDGET, [], root=proc.root).pids() == []


def test_when_the_reaper_is_gone_all_below_this_process_is_the_job_but_for_who_was_there_before(proc: FakeProc) -> None:
    proc.put(os.getpid(), 1)
    proc.put(201, os.getpid())
    proc.put(300, os.getpid())
    proc.put(301, 300)
    held = backend(proc, bystanders=frozenset({300}))
    held.take_over()
    assert held.pids() == [201]


def test_a_zombie_is_not_alive(proc: FakeProc) -> None:
    held = backend(proc)
    assert not held.is_alive()
    proc.put(201, REAPER, state="Z")
    assert not held.is_alive()
    proc.put(202, REAPER, state="X")
    assert not held.is_alive()
    proc.put(203, REAPER, state="D")
    assert held.is_alive()


def test_from_four_fifths_of_the_budget_on_it_is_measured_exactly(proc: FakeProc) -> None:
    proc.put(201, REAPER, anon=79, pss=40)
    held = backend(proc)
    assert not held.read_memory().exact
    proc.put(201, REAPER, anon=80, pss=40)
    assert held.read_memory().exact


def test_it_is_measured_exactly_when_that_is_asked_for(proc: FakeProc) -> None:
    proc.put(201, REAPER, anon=10, pss=4)
    reading = backend(proc).read_memory(exact=True)
    assert (reading.exact, reading.unreclaimable) == (True, 4 * MIB)


@pytest.mark.parametrize(
    ("cost", "bound", "held", "pause"),
    [
        (0.001, BUDGET - 1, BUDGET - 1, 0.01),
        (0.001, BUDGET, BUDGET - 6 * MIB, 6 * MIB / 6e9),
        (0.001, BUDGET, BUDGET - 600 * MIB, 0.01),
        (0.001, BUDGET + 5, BUDGET, 0.001),
    ],
    ids=["a tenth of the time", "as fast as it can grow", "no more than a tenth", "no sooner than it takes"],
)
def test_exact_readings_take_a_tenth_of_the_time_but_where_the_budget_can_be_passed_unseen(
    cost: float, bound: int, held: int, pause: float
) -> None:
    assert polled_memory.pause_seconds(BUDGET, cost, bound, held) == pytest.approx(pause)


def test_what_another_family_maps_too_does_not_count(proc: FakeProc) -> None:
    proc.put(201, REAPER, anon=90, pss=90)
    held = PollingBackend(BUDGET, [], root=proc.root)
    family: Any = SimpleNamespace(shared_since=lambda: 30 * MIB, pids=[])
    held.watch_below(REAPER, family=family)
    assert held.read_memory().unreclaimable == 60 * MIB
    family.shared_since = lambda: 300 * MIB
    proc.put(202, REAPER, anon=1)
    assert held.read_memory().unreclaimable == 0, "never less than nothing"


def test_files_in_memory_count_but_for_what_is_mapped(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc.put(201, REAPER, anon=10)
    held = backend(proc)
    monkeypatch.setattr(held._memory._tmpfs, "size", lambda _: 30 * MIB)
    monkeypatch.setattr(held._memory._memory, "mapped_shmem", lambda pids, *, exact: 12 * MIB)
    reading = held.read_memory()
    assert (reading.unreclaimable, reading.shmem) == ((10 + 18) * MIB, 30 * MIB)
    monkeypatch.setattr(held._memory._memory, "mapped_shmem", lambda pids, *, exact: 50 * MIB)
    assert held.read_memory().unreclaimable == 10 * MIB


def test_kills_by_the_kernel_are_looked_for_among_all_that_were_seen(
    proc: FakeProc, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc.put(201, REAPER, anon=10)
    held = backend(proc)
    held.read_memory()
    proc.end(201)
    proc.put(202, REAPER, anon=10)
    held.read_memory()
    asked: list[tuple[set[int], bool]] = []

    def count(seen: set[int], *, ended_by_sigkill: bool) -> int:
        asked.append((set(seen), ended_by_sigkill))
        return 2

    monkeypatch.setattr(held, "_kills", SimpleNamespace(count=count))
    assert held.oom_kills(ended_by_sigkill=True) == 2
    assert asked == [({201, 202}, True)]


def test_a_signal_is_not_sent_to_a_pid_that_has_become_anothers(proc: FakeProc) -> None:
    proc.put(201, REAPER)
    held = backend(proc)
    is_member = held._membership([201])
    assert is_member(SimpleNamespace(parent_pid=REAPER)) and is_member(SimpleNamespace(parent_pid=201))  # type: ignore[arg-type]
    assert not is_member(SimpleNamespace(parent_pid=1))  # type: ignore[arg-type]


def test_what_is_mapped_is_divided_only_where_it_is_measured_exactly(
    proc: FakeProc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound takes a mapped page off once for each process: it was counted as often."""
    proc.put(201, REAPER, anon=10)
    held = backend(proc)
    asked: list[bool] = []

    def mapped(_: object, *, exact: bool) -> int:
        asked.append(exact)
        return 0

    monkeypatch.setattr(held._memory._tmpfs, "size", lambda _: MIB)
    monkeypatch.setattr(held._memory._memory, "mapped_shmem", mapped)
    held.read_memory()
    assert asked == [False]
    held.read_memory(exact=True)
    assert asked == [False, False, True]


def test_what_was_counted_twice_never_makes_less_than_nothing(proc: FakeProc) -> None:
    """A process gave most of its memory back: what was counted twice then is more than all that is left."""
    proc.put(201, REAPER, anon=90, pss=10)
    held = backend(proc)
    assert held.read_memory().exact
    held._memory._shared_twice, held._memory._next_exact = 200 * MIB, float("inf")
    assert held.read_memory().unreclaimable == 0


def test_kill_looks_three_times_before_it_is_sure(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends while the tree is read hands on children that were not seen."""
    held = backend(proc)
    looks: list[bool] = []
    alive = iter([True, False, True, False, False, False, False])

    def is_alive() -> bool:
        looks.append(next(alive))
        return looks[-1]

    monkeypatch.setattr(held, "is_alive", is_alive)
    held.kill()
    assert looks == [True, False, True, False, False, False]


def test_kill_stops_looking_when_its_patience_ends(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that a pause moves by one."""
    clock, looks = [0], []
    sleeps = SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda _: clock.append(clock.pop() + 1))
    monkeypatch.setattr(tree_members, "time", sleeps)
    monkeypatch.setattr(tree_members, "_KILL_PATIENCE_SECONDS", 4)
    held = backend(proc)

    def is_alive() -> bool:
        looks.append(clock[0])
        return True

    monkeypatch.setattr(held, "is_alive", is_alive)
    held.kill()
    assert looks == [0, 1, 2, 3]


def test_kill_gives_up_in_time(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    proc.put(201, REAPER, state="D")
    monkeypatch.setattr(tree_members, "_KILL_PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(tree_members, "signal_if", lambda *_: None)
    backend(proc).kill()
