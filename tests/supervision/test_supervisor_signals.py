"""Whom the supervisor tells of a signal, a stop and a key: with a made-up job, terminal and clock."""

from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import pytest

from oomguard.supervision import watched_job as module
from oomguard.supervision.watched_job import FORWARDED_SIGNALS
from tests.supervision.fakes import BUDGET, MIB, FakeBackend
from tests.supervision.test_supervisor import Stage, stage

if TYPE_CHECKING:
    from oomguard.supervision.sampling import RunRecord

__all__ = ["stage"]  # a fixture


def run_for_a_moment(stage: Stage, backend: FakeBackend | None = None) -> RunRecord:
    thread = threading.Timer(0.05, stage.exits)
    thread.start()
    record = stage.run(backend or FakeBackend([10 * MIB]))
    thread.join()
    return record


@pytest.mark.parametrize(("leads_the_session", "forwarded"), [(True, [signal.SIGHUP]), (False, [])])
def test_a_terminals_hang_up_reaches_the_command(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, leads_the_session: bool, forwarded: list[int]
) -> None:
    """The kernel sends it to the leader of the session alone, which without a supervisor would be the command."""
    monkeypatch.setattr(os, "getsid", {0: os.getpid() if leads_the_session else 1}.__getitem__)
    stage.signals.send(signal.SIGHUP, from_kernel=True)
    run_for_a_moment(stage)
    assert stage.forwarded == forwarded


def test_a_held_job_is_not_continued_by_sigcont(stage: Stage) -> None:
    backend = FakeBackend([BUDGET])

    def both() -> None:
        stage.signals.send(signal.SIGCONT)
        stage.signals.send(signal.SIGUSR1)
        threading.Timer(0.05, lambda: stage.signals.send(signal.SIGTERM)).start()

    stage.told.on_held = both
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    stage.run(backend, on_limit="hold")
    assert signal.SIGCONT not in stage.forwarded
    assert signal.SIGUSR1 in stage.forwarded


def test_a_signal_that_ends_nothing_leaves_a_held_job_held(stage: Stage) -> None:
    backend = FakeBackend([BUDGET])
    seen: list[bool] = []

    def later() -> None:
        seen.append("kill" not in backend.log)
        stage.signals.send(signal.SIGQUIT)

    def first() -> None:
        stage.signals.send(signal.SIGUSR1)
        threading.Timer(0.1, later).start()

    stage.told.on_held = first
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    stage.run(backend, on_limit="hold")
    assert seen == [True]


def test_the_signals_that_are_passed_on_are_those_that_a_command_may_expect() -> None:
    assert {
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    } < FORWARDED_SIGNALS
    assert {
        signal.SIGWINCH,
        signal.SIGCONT,
        signal.SIGTSTP,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGALRM,
    } < FORWARDED_SIGNALS
    assert not {signal.SIGCHLD, signal.SIGSEGV, signal.SIGPIPE} & FORWARDED_SIGNALS


class FakeTerminal:
    """One that listens to us or not, with a shell that continues us or not; its keys are those of the test."""

    def __init__(self, *, ours: bool = False, shell: bool = False, keys: str = "") -> None:
        self.ours, self.shell, self._keys, self.restored = ours, shell, list(keys), 0
        self._fd = os.open("/dev/zero", os.O_RDONLY)  # a key is there whenever it is asked for

    def is_ours(self) -> bool:
        return self.ours

    def somebody_continues_us(self) -> bool:
        return self.shell

    def restore(self) -> None:
        self.restored += 1

    def keys(self) -> FakeTerminal:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def wake_on(self) -> list[tuple[int, int]]:
        return [(self._fd, 1)]

    def read(self) -> str:
        return self._keys.pop(0) if self._keys else ""


@pytest.mark.parametrize(
    ("by", "ours", "shell", "does"),
    [
        (signal.SIGTSTP, True, True, ["stops with it", signal.SIGCONT]),
        (signal.SIGTTIN, False, True, ["stops with it", signal.SIGCONT]),
        (signal.SIGTSTP, True, False, [signal.SIGCONT]),
        (signal.SIGSTOP, True, True, ["stops with it", signal.SIGCONT]),
        (signal.SIGSTOP, False, True, []),
    ],
    ids=["Ctrl-Z", "in the background", "Ctrl-Z without a shell", "kill -STOP in front", "kill -STOP behind"],
)
def test_a_shell_sees_its_job_stop_and_continue(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, by: int, ours: bool, shell: bool, does: list[Any]
) -> None:
    monkeypatch.setattr(module, "Terminal", lambda: FakeTerminal(ours=ours, shell=shell))
    real_kill = os.kill

    def kill(pid: int, number: int) -> None:
        if (pid, number) == (os.getpid(), signal.SIGSTOP):
            stage.forwarded.append("stops with it")  # type: ignore[arg-type]
        else:
            real_kill(pid, number)

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(module, "ProcFiles", lambda: SimpleNamespace(stat=lambda _: SimpleNamespace(state="T")))
    stage.reaper.happens("stopped", by)
    run_for_a_moment(stage)
    assert stage.forwarded == does


@pytest.mark.parametrize(("state", "holds"), [("T", True), ("R", False)], ids=["still held", "let go meanwhile"])
def test_without_a_cgroup_its_own_stop_of_the_job_is_no_news(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, state: str, holds: bool
) -> None:
    """The reaper tells of it a moment later, while the terminal may listen to us: the job is not continued by that."""
    monkeypatch.setattr(module, "Terminal", lambda: FakeTerminal(ours=True))
    monkeypatch.setattr(module, "ProcFiles", lambda: SimpleNamespace(stat=lambda _: SimpleNamespace(state=state)))
    backend = FakeBackend([BUDGET] if holds else [BUDGET, 10 * MIB])
    backend.on["freeze"] = lambda: stage.reaper.happens("stopped", signal.SIGSTOP)
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    threading.Timer(0.3, stage.exits).start()
    assert stage.run(backend, on_limit="hold" if holds else "stop").stopped == holds
    assert stage.forwarded == []


def test_a_job_that_continues_by_itself_is_let_alone(stage: Stage) -> None:
    stage.reaper.happens("continued")
    assert not run_for_a_moment(stage).stopped
    assert stage.forwarded == []


@pytest.mark.parametrize(("key", "last"), [("s", "kill"), ("xr", "thaw")])
def test_a_key_ends_a_held_job_or_lets_it_go_on_with_what_was_suggested(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, key: str, last: str
) -> None:
    terminal = FakeTerminal(keys=key)
    monkeypatch.setattr(module, "Terminal", lambda: terminal)
    backend = FakeBackend([BUDGET])
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    if key != "s":
        backend.on["thaw"] = stage.exits
    record = stage.run(backend, on_limit="hold")
    assert backend.log[-1] == last
    assert record.stopped == (key == "s")
    assert terminal.restored == int(key == "s"), "only what was killed may have left the terminal raw"
    if key != "s":
        assert stage.told.log[-1] == ("released", stage.told.suggested // MIB)
        assert backend.limits.budget == stage.told.suggested > BUDGET
        assert f"budget {stage.told.suggested // MIB} swap 0" in backend.log, "swap stays as it was"
