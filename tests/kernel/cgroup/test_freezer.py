"""The freezer over a made-up cgroup: what it writes, and when it says that nothing runs."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.cgroup import freezer
from oomguard.kernel.cgroup.freezer import CgroupFreezer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.freeze").write_text("0")
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    return tmp_path


def states(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    """The states of processes 0, 1, ..., as /proc would show them."""
    proc = SimpleNamespace(stat=lambda pid: SimpleNamespace(state=found[pid]) if pid < len(found) else None)
    monkeypatch.setattr(freezer, "ProcFiles", lambda: proc)


def test_it_is_frozen_when_the_kernel_says_so(cgroup: Path) -> None:
    (cgroup / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    assert CgroupFreezer(cgroup, list).freeze()
    assert (cgroup / "cgroup.freeze").read_text() == "1"


def test_it_is_waited_for(cgroup: Path) -> None:
    thread = threading.Timer(0.02, lambda: (cgroup / "cgroup.events").write_text("populated 1\nfrozen 1\n"))
    thread.start()
    assert CgroupFreezer(cgroup, list).freeze()
    thread.join()


def test_a_task_that_is_parked_at_the_limit_counts_as_frozen(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel never calls such a cgroup frozen."""
    states(monkeypatch, "D", "S")
    assert CgroupFreezer(cgroup, lambda: [0, 1, 2]).freeze()


@pytest.mark.parametrize("found", [("R", "D"), ("S", "S")], ids=["one still runs", "none is parked"])
def test_what_never_freezes_is_said(cgroup: Path, monkeypatch: pytest.MonkeyPatch, found: tuple[str, ...]) -> None:
    states(monkeypatch, *found)
    monkeypatch.setattr(freezer, "_FREEZE_PATIENCE_SECONDS", 0.05)
    assert not CgroupFreezer(cgroup, lambda: [0, 1]).freeze()


def test_thaw_lets_it_continue_and_a_cgroup_that_is_gone_is_no_error(cgroup: Path) -> None:
    (cgroup / "cgroup.freeze").write_text("1")
    CgroupFreezer(cgroup, list).thaw()
    assert (cgroup / "cgroup.freeze").read_text() == "0"
    CgroupFreezer(cgroup / "gone", list).thaw()


def test_a_kernel_that_refuses_is_told(cgroup: Path) -> None:
    with pytest.raises(OSError, match="cgroup.freeze"):
        CgroupFreezer(cgroup / "gone", list).freeze()


class Stopping:
    """Processes that SIGSTOP takes to the states that a test says, one look after another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **looks: str) -> None:
        self.looks = {int(name[1:]): list(states) for name, states in looks.items()}
        self.sent: list[tuple[int, int]] = []
        self.ticks = 5
        proc = SimpleNamespace(stat=self.stat)
        monkeypatch.setattr(freezer, "ProcFiles", lambda *_: proc)
        monkeypatch.setattr(freezer, "signal_if", self.signal_if)
        monkeypatch.setattr(freezer, "_STOP_PATIENCE_SECONDS", 0.2)
        self.stopper = freezer.StopSignals(lambda: list(self.looks), lambda _: lambda _: True)

    def stat(self, pid: int) -> SimpleNamespace | None:
        states = self.looks[pid]
        state = states.pop(0) if len(states) > 1 else states[0]
        return None if state == "-" else SimpleNamespace(state=state, start_ticks=self.ticks)

    def signal_if(self, pid: int, number: int, is_meant: Callable[[SimpleNamespace], bool]) -> bool:
        if is_meant(SimpleNamespace(start_ticks=self.ticks)):
            self.sent.append((pid, number))
        return True


@pytest.mark.parametrize(
    ("states", "stands", "stops"),
    [("RT", True, 1), ("RRRT", True, 1), ("RD", True, 1), ("RS", False, 1), ("T", True, 0), ("t", True, 0), ("Z", True, 0), ("-", True, 0)],
    ids=["stops", "stops later", "parked in the kernel", "goes on", "stood before", "traced", "a zombie", "gone"],
)  # fmt: skip
def test_each_is_stopped_once_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, states: str, stands: bool, stops: int
) -> None:
    stage = Stopping(monkeypatch, p7=states)
    assert stage.stopper.freeze() == stands
    assert stage.sent == [(7, signal.SIGSTOP)] * stops
    stage.sent.clear()
    stage.stopper.thaw()
    assert stage.sent == [(7, signal.SIGCONT)] * stops, "only whom it stopped"


def test_one_that_still_runs_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Stopping(monkeypatch, p7="RS", p8="RT").stopper.freeze()
    assert not Stopping(monkeypatch, p7="RS", p8="RD").stopper.freeze()


def test_a_pid_that_is_anothers_now_is_stopped_and_never_continued_as_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stopping(monkeypatch, p7="RT")
    assert stage.stopper.freeze()
    stage.ticks = 6
    stage.sent.clear()
    stage.stopper.thaw()
    assert stage.sent == []
    stage.looks[7] = ["R", "T"]
    assert stage.stopper.freeze()
    assert stage.sent == [(7, signal.SIGSTOP)]


def test_the_kernels_word_is_asked_for_more_and_more_rarely(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states(monkeypatch, "S")
    clock, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(freezer, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    assert not CgroupFreezer(cgroup, lambda: [0]).freeze()
    assert slept[:7] == [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.02]
    assert set(slept[7:]) == {0.02}
    assert 1.0 <= sum(slept) < 1.03


def test_a_parked_task_is_looked_for_only_after_a_while(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task in an uninterruptible sleep of a moment would be taken for one."""
    states(monkeypatch, "D")
    clock, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(freezer, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    assert CgroupFreezer(cgroup, lambda: [0]).freeze()
    assert len(slept) == 5


def test_the_kernel_is_not_asked_once_more_when_the_patience_ends(
    cgroup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that a pause moves by one."""
    clock, asked = [0], []
    sleeps = SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda _: clock.append(clock.pop() + 1))
    monkeypatch.setattr(freezer, "time", sleeps)
    monkeypatch.setattr(freezer, "_FREEZE_PATIENCE_SECONDS", 3)
    held = CgroupFreezer(cgroup, list)
    monkeypatch.setattr(held, "_is_frozen", lambda **_: asked.append(clock[0]))
    assert not held.freeze()
    assert asked == [0, 1, 2]


def test_processes_are_not_looked_at_once_more_when_the_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = [0], []
    sleeps = SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda _: clock.append(clock.pop() + 1))
    stage = Stopping(monkeypatch, p7="RS")
    monkeypatch.setattr(freezer, "time", sleeps)
    monkeypatch.setattr(freezer, "_STOP_PATIENCE_SECONDS", 3)
    stage.stopper._pids = lambda: asked.append(clock[0]) or [7]  # type: ignore[func-returns-value]
    assert not stage.stopper.freeze()
    assert asked == [0, 1, 2]
