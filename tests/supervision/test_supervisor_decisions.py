"""What the supervisor decides, and when it looks again: with a made-up job, terminal and clock."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.errors import NothingFound
from oomguard.kernel import machine
from oomguard.kernel.proc import ProcFiles
from oomguard.supervision import holding, pace, watched_job
from oomguard.supervision import supervisor as module
from oomguard.supervision.backends.base import MemoryReading
from oomguard.supervision.releasing import Releasing
from oomguard.supervision.supervisor import Supervisor
from oomguard.supervision.watched_job import WatchedJob
from tests.supervision.fakes import BUDGET, MIB, FakeBackend
from tests.supervision.test_supervisor import EXIT_3, Stage, stage

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["stage"]  # a fixture
GIB = 1 << 30


def supervisor_of(stage: Stage, backend: FakeBackend, **options: Any) -> Supervisor:
    enforcement = SimpleNamespace(hard_limit=backend.limits.hard, way=backend.kind)
    job: Any = SimpleNamespace(reaper=stage.reaper, backend=backend, enforcement=enforcement)
    given: Any = {"began": 0.0, "grace_seconds": 0.0, **options}
    return Supervisor(job, stage.signals, stage.told, **given)  # type: ignore[arg-type]  # fakes


# ---- when it looks again: test_pace.py says how soon ----


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
        return MemoryReading(unreclaimable=60 * GIB, shmem=0, cache=0, exact=True)

    backend.read_memory = look  # type: ignore[method-assign]
    backend.wake_on = lambda: [(ours, 1)]  # type: ignore[method-assign]
    stage.run(backend, watch=lambda: 60.0)
    os.close(ours)
    os.close(theirs)
    assert len(asked) >= 3
    assert asked[2] - asked[1] < 0.4


@pytest.mark.parametrize(
    ("watch", "seconds"),
    [(None, 0.5), (lambda: 60.0, 0.5), (lambda: 0.125, 0.125)],
    ids=["alone", "a watch that waits longer", "a watch that wants to look sooner"],
)
def test_between_two_looks_it_sleeps(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, watch: Callable[[], float] | None, seconds: float
) -> None:
    """On a clock that stands still, so that no look takes time."""
    waited: list[float] = []
    wait = WatchedJob.wait

    def waits(self: WatchedJob, seconds: float, also: list[tuple[int, int]]) -> set[int]:
        waited.append(seconds)
        if len(waited) == 2:
            stage.exits()
        return wait(self, seconds, also)

    monkeypatch.setattr(WatchedJob, "wait", waits)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    backend = FakeBackend([1])
    backend.limits = backend.plan_budget(100 * GIB)
    stage.run(backend, watch=watch)
    assert waited == [0.0, seconds]


def test_what_a_look_takes_is_no_time_to_sleep(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waited = [1000.0], []
    wait = WatchedJob.wait

    def waits(self: WatchedJob, seconds: float, also: list[tuple[int, int]]) -> set[int]:
        waited.append(seconds)
        if len(waited) == 2:
            stage.exits()
        return wait(self, seconds, also)

    class SlowToRead(FakeBackend):
        def is_at_the_limit(self) -> bool:
            clock[0] += 0.25
            return False

    monkeypatch.setattr(WatchedJob, "wait", waits)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    backend = SlowToRead([1])
    backend.limits = backend.plan_budget(100 * GIB)
    stage.run(backend)
    assert waited == [0.0, 0.25]


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
    assert stage.run(backend, grace_seconds=30.0).seconds < 20
    assert backend.log[-1] == "kill"


def test_what_it_holds_within_the_grace_counts_for_the_peak(stage: Stage) -> None:
    backend = FakeBackend([BUDGET], members=[1 << 22])

    def thawed() -> None:
        backend.held = [BUDGET + 8 * MIB]
        stage.signals.send(signal.SIGINT)

    def killed() -> None:
        backend.held = [0]
        stage.exits(signal.SIGKILL)

    backend.on = {"thaw": thawed, "kill": killed}
    assert stage.run(backend, grace_seconds=30.0).samples.peak_unreclaimable == BUDGET + 8 * MIB


def test_a_second_signal_makes_the_grace_shorter(stage: Stage) -> None:
    backend = FakeBackend([BUDGET], members=[1 << 22])
    backend.on["thaw"] = lambda: stage.signals.send(signal.SIGINT)
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    assert stage.run(backend, grace_seconds=30.0).seconds < 20


def test_a_signal_that_came_before_it_was_held_does_not(stage: Stage) -> None:
    backend = FakeBackend([10 * MIB, BUDGET], members=[1 << 22])
    stage.signals.send(signal.SIGTERM)
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    assert stage.run(backend, grace_seconds=0.3).seconds > 0.25


def test_only_who_has_no_code_to_run_is_killed_within_the_grace(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment in which to take the signal: it is deep in a system call, and would do nothing but end."""
    monkeypatch.setattr(holding, "is_ending_by", lambda pid, number: (pid, number) == (7, signal.SIGTERM))
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
    monkeypatch.setattr(holding, "_AFTER_KILL_SECONDS", 0.05)
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


@pytest.mark.parametrize(("held", "is_refused"), [(BUDGET - 1, False), (BUDGET, True), (BUDGET + 1, True)])
def test_a_budget_is_refused_where_it_is_used_up_already(stage: Stage, held: int, is_refused: bool) -> None:
    supervisor = supervisor_of(stage, FakeBackend([held]))
    told: Any = stage.told
    refusal = Releasing(supervisor._job, told, 0)._refusal(FakeBackend([0]).plan_budget(BUDGET))
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
    assert 0.15 < record.seconds < 20
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


class Starved:
    """A machine that refuses to open anything, so often as is said; it counts the questions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.times, self.asked = times, 0
        monkeypatch.setattr(ProcFiles, "refusal", lambda _: self._refusal())
        monkeypatch.setattr(watched_job, "_BLIND_SECONDS", 0.02)

    def _refusal(self) -> OSError | None:
        self.asked += 1
        return OSError(errno.ENFILE, "Too many open files in system") if self.asked <= self.times else None


def test_a_job_that_can_no_longer_be_seen_is_not_left_parked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be opened any more, so all reads as empty: the reaper is to end it, and the error says why."""
    Starved(monkeypatch, times=10**9)
    with pytest.raises(OSError, match="Too many open files"):
        stage.run(FakeBackend([0]))


def test_a_moment_without_descriptors_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    starved = Starved(monkeypatch, times=1)
    backend = FakeBackend([0, BUDGET])
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    assert stage.run(backend).stopped
    assert starved.asked == 1


def test_a_job_that_was_not_seen_to_end_is_left_to_the_reaper(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held at its budget, and then nothing could be read: its processes were nowhere, and nobody was killed."""
    Starved(monkeypatch, times=10**9)
    monkeypatch.setattr(holding, "_AFTER_KILL_SECONDS", 0.02)
    with pytest.raises(OSError, match="Too many open files"):
        stage.run(FakeBackend([BUDGET]))


def test_what_could_not_be_read_once_is_looked_at_again_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that failed gave nothing, and a long step until the next: a job had passed its budget and ended by then."""
    monkeypatch.setattr(pace, "_LONGEST_STEP_SECONDS", 60)
    backend = FakeBackend([0, 100 * GIB])
    backend.limits = backend.plan_budget(100 * GIB)
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    assert stage.run(backend).seconds < 30


def test_what_a_held_job_came_to_is_told_where_the_machine_does_not_say_what_it_has(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without /proc/meminfo, as in gVisor and with subset=pid: it ended with 125, as if there had been no budget."""

    def says_nothing() -> None:
        raise NothingFound("/proc/meminfo does not say", do="mount -t proc proc /proc")

    monkeypatch.setattr(machine, "read_headroom", says_nothing)
    backend = FakeBackend([BUDGET])
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    assert stage.run(backend).stopped
    assert stage.told.suggested > BUDGET
