"""What the supervisor decides, and when it looks again: with a made-up job, terminal and clock."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import pytest

from oomguard.supervision import supervisor as module
from oomguard.supervision.supervisor import FORWARDED_SIGNALS, Supervisor
from tests.supervision.fakes import BUDGET, MIB, FakeBackend
from tests.supervision.test_supervisor import EXIT_3, Stage, stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.supervision.sampling import RunRecord

__all__ = ["stage"]  # a fixture
GIB = 1 << 30


def supervisor_of(stage: Stage, backend: FakeBackend, **options: Any) -> Supervisor:
    enforcement = SimpleNamespace(hard_limit=backend.limits.hard, way=backend.kind)
    job: Any = SimpleNamespace(reaper=stage.reaper, backend=backend, enforcement=enforcement)
    given: Any = {"began": 0.0, "grace_seconds": 0.0, **options}
    return Supervisor(job, stage.signals, stage.told, **given)  # type: ignore[arg-type]  # fakes


# ---- when it looks again ----


@pytest.mark.parametrize(
    ("headroom", "seconds"),
    [(60 * MIB, 60 * MIB / 6e9), (6 * MIB, 0.002), (0, 0.002), (-MIB, 0.002)],
    ids=["as fast as memory can grow", "no sooner than in 2 ms", "at the budget", "over it"],
)
def test_it_looks_again_before_the_budget_can_be_reached(stage: Stage, headroom: int, seconds: float) -> None:
    assert supervisor_of(stage, FakeBackend([0]))._step(BUDGET - headroom) == pytest.approx(seconds)


def test_with_a_large_budget_it_looks_every_half_second(stage: Stage) -> None:
    backend = FakeBackend([0])
    backend.limits = backend.plan_budget(100 * GIB)
    assert supervisor_of(stage, backend)._step(0) == 0.5


def test_where_the_kernel_tells_of_the_budget_it_looks_less_often(stage: Stage) -> None:
    assert supervisor_of(stage, FakeBackend([0], kind="cgroup v2"))._step(BUDGET) == 0.01


def test_a_job_that_stays_near_its_budget_is_looked_at_less_often_until_it_grows(stage: Stage) -> None:
    supervisor = supervisor_of(stage, FakeBackend([0]))
    steps = [supervisor._step(BUDGET - MIB) for _ in range(18)]
    assert steps == [0.002] * 17 + [0.02]
    assert supervisor._step(BUDGET - MIB + (1 << 16)) == 0.02, "one step of growth that is none"
    assert supervisor._step(BUDGET - MIB + (1 << 17) + 1) == 0.002
    steps = [supervisor._step(BUDGET - MIB - (1 << 18)) for _ in range(3)]
    assert steps == [0.002] * 3, "what shrinks may grow again"


def test_only_near_its_budget_the_kernels_word_is_waited_for(stage: Stage) -> None:
    """v2 tells of every reclaim, also while only page cache is there to reclaim."""
    supervisor = supervisor_of(stage, FakeBackend([0]))
    supervisor._step(BUDGET // 2)
    assert not supervisor._is_near
    supervisor._step(BUDGET // 2 + 1)
    assert supervisor._is_near


def test_what_the_kernel_tells_is_looked_at_at_once(stage: Stage) -> None:
    backend = FakeBackend([10 * MIB])
    backend.limits = backend.plan_budget(100 * GIB)  # by itself it would look in half a second
    ours, theirs = os.pipe()
    asked: list[float] = []

    def look(*, exact: bool = False) -> Any:
        asked.append(time.monotonic())
        if len(asked) == 2:
            os.write(theirs, b".")
        if len(asked) == 3:
            os.read(ours, 1)
            stage.exits()
        return SimpleNamespace(unreclaimable=60 * GIB, shmem=0, cache=0)

    backend.read_memory = look  # type: ignore[method-assign]
    backend.wake_on = lambda: [(ours, 1)]  # type: ignore[method-assign]
    stage.run(backend, watch=lambda: 60.0)
    os.close(ours)
    os.close(theirs)
    assert len(asked) >= 3
    assert asked[2] - asked[1] < 0.4


# ---- at the budget ----


@pytest.mark.parametrize(("swap", "is_stopped"), [(MIB - 1, True), (MIB, False)])
def test_less_than_a_mebibyte_of_swap_is_none(stage: Stage, swap: int, is_stopped: bool) -> None:
    backend = FakeBackend([BUDGET], swap=swap)
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    if not is_stopped:
        stage.exits()
    assert stage.run(backend, swap_max=None).stopped == is_stopped


def test_a_byte_less_than_the_budget_is_room(stage: Stage) -> None:
    stage.exits()
    assert not stage.run(FakeBackend([BUDGET - 1])).stopped


def test_a_job_that_the_kernel_parked_is_held_however_little_it_holds(stage: Stage) -> None:
    """Its page cache and kernel memory fill the limit, and it waits there for ever."""
    backend = FakeBackend([10 * MIB])
    backend.is_at_the_limit = lambda: True  # type: ignore[method-assign]
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    record = stage.run(backend)
    assert backend.log[:2] == ["freeze", "grace"]
    assert record.stopped


def test_the_grace_ends_where_what_was_given_back_is_used_up(stage: Stage) -> None:
    backend = FakeBackend([BUDGET], members=[1 << 22])
    backend.on["thaw"] = lambda: setattr(backend, "is_at_the_limit", lambda: True)
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    assert stage.run(backend, grace_seconds=30.0).seconds < 10
    assert backend.log[-1] == "kill"


def test_a_second_signal_makes_the_grace_shorter(stage: Stage) -> None:
    backend = FakeBackend([BUDGET], members=[1 << 22])
    backend.on["thaw"] = lambda: stage.signals.send(signal.SIGINT)
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    assert stage.run(backend, grace_seconds=30.0).seconds < 10


def test_a_signal_that_came_before_it_was_held_does_not(stage: Stage) -> None:
    backend = FakeBackend([10 * MIB, BUDGET], members=[1 << 22])
    stage.signals.send(signal.SIGTERM)
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    assert stage.run(backend, grace_seconds=0.3).seconds > 0.25


def test_only_who_has_no_code_to_run_is_killed_within_the_grace(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment in which to take the signal: it is deep in a system call, and would do nothing but end."""
    monkeypatch.setattr(module, "is_ending_by", lambda pid, number: (pid, number) == (7, signal.SIGTERM))
    backend = FakeBackend([BUDGET], members=[7, 8])
    killed: list[int] = []
    asked = time.monotonic()

    def send(number: int, only: Callable[[int], bool] = lambda _: True) -> None:
        if number == signal.SIGKILL:
            assert time.monotonic() - asked > 0.2
            killed.extend(pid for pid in backend.members if only(pid))
            backend.members = [pid for pid in backend.members if not only(pid)]
        if backend.members == [8]:
            backend.members = []
            stage.exits(EXIT_3)

    backend.signal = send  # type: ignore[method-assign]
    record = stage.run(backend, grace_seconds=30.0)
    assert killed == [7]
    assert (record.status, record.stopped) == (EXIT_3, True)


def test_what_not_even_sigkill_ends_is_not_waited_for_for_ever(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AFTER_KILL_SECONDS", 0.05)
    record = stage.run(FakeBackend([BUDGET]))
    assert record.status == signal.SIGKILL
    assert record.stopped
    assert record.left_behind == 0


def test_a_command_that_had_ended_keeps_its_status_when_the_reaper_goes(stage: Stage) -> None:
    """Told in one breath: the command's end, then the reaper's."""
    stage.exits(EXIT_3)
    stage.reaper.happens("gone")
    backend = FakeBackend([10 * MIB])
    assert stage.run(backend).status == EXIT_3
    assert backend.log == ["take over", "kill"]


# ---- who is told of what ----


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
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid() if leads_the_session else 1)
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


@pytest.mark.parametrize(("held", "is_refused"), [(BUDGET - 1, False), (BUDGET, True), (BUDGET + 1, True)])
def test_a_budget_is_refused_where_it_is_used_up_already(stage: Stage, held: int, is_refused: bool) -> None:
    supervisor = supervisor_of(stage, FakeBackend([held]))
    refusal = supervisor._refusal(FakeBackend([0]).plan_budget(BUDGET))
    assert (refusal is not None) == is_refused
    assert not is_refused or "not less than 100 MiB" in str(refusal)


def test_a_supervisor_runs_before_what_it_watches(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the processes that want the same CPU it would see too late what they do."""
    asked: list[bool] = []
    monkeypatch.setattr(module, "stay_awake", lambda: asked.append(True))
    supervisor_of(stage, FakeBackend([0]))
    assert asked == [True]


# ---- what is said in the end ----


@pytest.mark.parametrize(
    ("met", "peak", "swap_max", "refused"),
    [(True, BUDGET, 0, True), (False, BUDGET, 0, False), (True, BUDGET - 1, 0, False), (True, BUDGET, None, False)],
    ids=["it was", "met no limit", "was not at its budget", "had swap"],
)
def test_memory_was_refused_only_at_the_limit_and_without_swap(
    stage: Stage, met: bool, peak: int, swap_max: int | None, refused: bool
) -> None:
    """On v1 a system call is refused memory where a page fault would wait; nobody was there to hold the job."""
    backend = FakeBackend([peak], swap=GIB)
    backend.met_its_limit = lambda: met  # type: ignore[method-assign]
    stage.exits(EXIT_3)
    options = {} if swap_max == 0 else {"swap_max": swap_max}  # by default there is none
    assert stage.run(backend, **options).refused == refused


@pytest.mark.parametrize(
    ("status", "by_sigkill"), [(signal.SIGKILL, True), (signal.SIGTERM, False), (0, False), (9 << 8, False)]
)
def test_the_kernels_kills_are_asked_for_with_how_the_command_ended(
    stage: Stage, status: int, by_sigkill: bool
) -> None:
    backend, asked = FakeBackend([10 * MIB]), []

    def oom_kills(*, ended_by_sigkill: bool) -> int:
        asked.append(ended_by_sigkill)
        return 3

    backend.oom_kills = oom_kills  # type: ignore[method-assign]
    backend.peak_with_cache = lambda: 77 * MIB  # type: ignore[method-assign]
    stage.exits(status)
    record = stage.run(backend)
    assert asked == [by_sigkill]
    assert (record.oom_kills, record.peak_with_cache, record.status) == (3, 77 * MIB, status)


def test_what_is_there_at_the_very_end_counts_for_the_peak(stage: Stage) -> None:
    stage.exits()
    assert stage.run(FakeBackend([40 * MIB])).samples.peak_unreclaimable == 40 * MIB


def test_a_watch_says_when_it_wants_to_be_called_again(stage: Stage) -> None:
    calls: list[float] = []

    def watch() -> float:
        calls.append(time.monotonic())
        return 60.0

    run_for_a_moment_with = threading.Timer(0.2, stage.exits)
    run_for_a_moment_with.start()
    stage.run(FakeBackend([10 * MIB]), watch=watch)
    run_for_a_moment_with.join()
    assert len(calls) == 2, "at the beginning, and at the end while the kernel's account is still there"


# ---- what goes on after the command ----


def test_what_goes_on_is_waited_for_where_that_is_wanted(stage: Stage) -> None:
    backend = FakeBackend([10 * MIB], members=[7])
    thread = threading.Timer(0.2, backend.members.clear)
    thread.start()
    stage.exits(EXIT_3)
    record = stage.run(backend, wait_seconds=30.0)
    thread.join()
    assert 0.15 < record.seconds < 10
    assert (record.status, record.left_behind) == (EXIT_3, 0)


@pytest.mark.parametrize("wait_seconds", [0.0, 0.2])
def test_but_no_longer_than_that(stage: Stage, wait_seconds: float) -> None:
    backend = FakeBackend([10 * MIB], members=[7])
    stage.exits()
    record = stage.run(backend, wait_seconds=wait_seconds)
    assert wait_seconds <= record.seconds < 10
    assert record.left_behind == 1


def test_a_signal_ends_the_wait(stage: Stage) -> None:
    backend = FakeBackend([10 * MIB], members=[7])
    stage.exits()
    thread = threading.Timer(0.1, lambda: stage.signals.send(signal.SIGTERM))
    thread.start()
    assert stage.run(backend, wait_seconds=60.0).seconds < 30
    thread.join()


def test_what_goes_on_is_stopped_at_the_budget(stage: Stage) -> None:
    backend = FakeBackend([10 * MIB, BUDGET], members=[7])
    stage.exits(EXIT_3)
    record = stage.run(backend, wait_seconds=30.0)
    assert record.stopped
    assert backend.log[-1] == "kill"
    assert record.seconds < 20
