"""What the supervisor does with a job, step by step, and in which order."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.errors import BudgetTooSmall
from oomguard.supervision import supervisor, watched_job
from oomguard.supervision.control_socket import release
from oomguard.supervision.supervisor import Supervisor
from tests.supervision.fakes import BUDGET, JOB, MIB, FakeBackend, FakeReaper, FakeSignals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oomguard.supervision.model import Released
    from oomguard.supervision.sampling import RunRecord

EXIT_3 = 3 << 8


def ask(**wanted: Any) -> Released:
    """As `oomguard release` does, as soon as the screen is shown."""
    return release(os.getpid(), **wanted)


class Told:
    """What the supervisor told."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.on_held: Callable[[], None] = lambda: None

    def forecast(self, *_: Any) -> None:
        self.log.append(("forecast",))

    def held(self, held: Any, *, waits: bool, suggested: int) -> None:
        self.log.append(("held", held.unreclaimable // MIB, waits))
        self.suggested = suggested
        self.on_held()

    def released(self, budget: int) -> None:
        self.log.append(("released", budget // MIB))

    def stays_held(self, why: str) -> None:
        self.log.append(("stays", why))


class Stage:
    """A supervisor with a made-up job."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(supervisor, "stay_awake", lambda: True)
        self.reaper, self.signals, self.told = FakeReaper(), FakeSignals(), Told()
        self.forwarded: list[int] = []
        self.backend: FakeBackend | None = None
        self.has_exited = False
        self.state = "S"  # of the command
        monkeypatch.setattr(watched_job, "signal_if", self._forward)

    def run(self, backend: FakeBackend, **options: Any) -> RunRecord:
        self.backend = backend
        if self.has_exited:
            backend.forget(JOB)
        enforcement = SimpleNamespace(hard_limit=backend.limits.hard, way=backend.kind)
        job: Any = SimpleNamespace(reaper=self.reaper, backend=backend, enforcement=enforcement)
        signals, told = self.signals, self.told
        given: Any = {"grace_seconds": 0.0, **options}
        return Supervisor(job, signals, told, began=time.monotonic(), **given).run()  # type: ignore[arg-type]  # fakes

    def _forward(self, pid: int, number: int, is_meant: Callable[[Any], bool]) -> None:
        assert pid == JOB
        if is_meant(SimpleNamespace(parent_pid=self.reaper.pid, state=self.state)):
            self.forwarded.append(number)

    def exits(self, status: int = 0) -> None:
        self.has_exited = True
        if self.backend is not None:
            self.backend.forget(JOB)
        self.reaper.happens("exited", status)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made = Stage(monkeypatch)
    yield made
    made.reaper.close()
    made.signals.close()


def test_a_job_that_stays_below_is_let_alone(stage: Stage) -> None:
    backend = FakeBackend([10 * MIB])
    stage.exits(EXIT_3)
    record = stage.run(backend)
    assert record.status == EXIT_3
    assert not record.stopped
    assert backend.log == []
    assert record.samples.peak_unreclaimable == 10 * MIB


def test_at_the_budget_it_is_frozen_sampled_asked_and_ended(stage: Stage) -> None:
    backend = FakeBackend([BUDGET], members=[1 << 22])
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    record = stage.run(backend)
    assert backend.log[:4] == ["freeze", "grace", f"signal {signal.SIGTERM}", "thaw"]
    assert backend.log[-1] == "kill"
    assert stage.told.log == [("held", 100, False)]
    assert record.stopped
    assert record.held is not None
    assert record.held.unreclaimable == BUDGET


def test_a_job_that_ended_at_its_budget_by_itself_keeps_its_status(stage: Stage) -> None:
    """Its files in /dev/shm still fill the budget; the reaper's word of its end comes a moment later."""
    backend = FakeBackend([BUDGET], members=[])
    backend.on["thaw"] = lambda: stage.exits(EXIT_3)
    record = stage.run(backend)
    assert (record.status, record.stopped, record.held) == (EXIT_3, False, None)
    assert backend.log == ["freeze", "thaw"]
    assert stage.told.log == []


def test_a_job_that_ends_within_its_grace_is_asked_once(stage: Stage) -> None:
    backend = FakeBackend([BUDGET], members=[1 << 22])

    def ends() -> None:
        backend.members.clear()
        stage.exits(EXIT_3)

    backend.on[f"signal {signal.SIGTERM}"] = ends
    record = stage.run(backend, grace_seconds=30.0)
    assert backend.log.count(f"signal {signal.SIGTERM}") == 1
    assert record.status == EXIT_3
    assert record.stopped
    assert record.seconds < 20


def test_a_bound_that_was_too_high_stops_nothing(stage: Stage) -> None:
    """Frozen, measured exactly, it holds less: it continues at once."""
    backend = FakeBackend([BUDGET, BUDGET - MIB, BUDGET - MIB])
    backend.on["thaw"] = stage.exits
    record = stage.run(backend)
    assert backend.log == ["freeze", "thaw"]
    assert not record.stopped
    assert stage.told.log == []


def test_swap_that_is_left_is_used_first(stage: Stage) -> None:
    backend = FakeBackend([BUDGET + MIB], swap=64 * MIB)
    stage.exits()
    record = stage.run(backend, swap_max=None)
    assert backend.log == []
    assert not record.stopped


@pytest.mark.parametrize(("on_limit", "stands_still", "hard_limit"), [("kill", True, True), ("stop", False, False)])
def test_it_is_not_asked_where_that_would_let_it_grow(
    stage: Stage, on_limit: str, stands_still: bool, hard_limit: bool
) -> None:
    """Killed at once: as somebody wants it, or because nothing stops it any more and no limit stands behind."""
    backend = FakeBackend([BUDGET], stands_still=stands_still)
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    if not hard_limit:
        backend.limits = SimpleNamespace(budget=BUDGET, hard=None)  # type: ignore[assignment]  # as polling has it
    stage.run(backend, on_limit=on_limit)
    assert backend.log == ["freeze", "grace", "kill"]


def test_the_reaper_is_killed_and_the_job_ends_with_it(stage: Stage) -> None:
    backend = FakeBackend([10 * MIB])
    stage.reaper.happens("gone")
    record = stage.run(backend)
    assert backend.log == ["take over", "kill"]
    assert stage.reaper.buried
    assert record.status == signal.SIGKILL


def test_what_goes_on_in_the_background_is_left_to_the_kernel(stage: Stage) -> None:
    backend = FakeBackend([10 * MIB], members=[1 << 22, (1 << 22) + 7])
    stage.exits()
    record = stage.run(backend)
    assert record.left_behind == 2
    assert backend.log == ["left to the kernel"]


@pytest.mark.parametrize(("number", "from_kernel", "is_forwarded"), [
    (signal.SIGTERM, False, True),
    (signal.SIGUSR1, False, True),
    (signal.SIGINT, True, False),  # the terminal sends it to the command, too
    (signal.SIGQUIT, True, False),
])  # fmt: skip
def test_signals_are_passed_on_once(stage: Stage, number: int, from_kernel: bool, is_forwarded: bool) -> None:
    stage.signals.send(number, from_kernel=from_kernel)
    thread = threading.Timer(0.05, stage.exits)
    thread.start()
    stage.run(FakeBackend([10 * MIB]))
    thread.join()
    assert stage.forwarded == ([number] if is_forwarded else [])


@pytest.mark.parametrize(("number", "continued"), [(signal.SIGTERM, True), (signal.SIGUSR1, False)])
def test_a_stopped_command_hears_of_what_ends_it(stage: Stage, number: int, continued: bool) -> None:
    stage.state = "T"
    stage.signals.send(number)
    thread = threading.Timer(0.05, stage.exits)
    thread.start()
    stage.run(FakeBackend([10 * MIB]))
    thread.join()
    assert stage.forwarded == [number, signal.SIGCONT][: 1 + continued]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_held_job_ends_when_its_supervisor_is_asked_to(stage: Stage, number: int) -> None:
    backend = FakeBackend([BUDGET])
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    stage.told.on_held = lambda: None
    threading.Timer(0.05, lambda: stage.signals.send(number)).start()
    record = stage.run(backend, on_limit="hold")
    assert record.stopped
    assert stage.told.log == [("held", 100, True)]
    assert backend.log[-1] == "kill"


@pytest.mark.parametrize("from_kernel", [True, False])
def test_a_held_job_whose_terminal_goes_stays_held(stage: Stage, from_kernel: bool) -> None:
    backend = FakeBackend([BUDGET])

    def hang_up_and_ask() -> None:
        stage.signals.send(signal.SIGHUP, from_kernel=from_kernel)
        time.sleep(0.1)
        ask(max_rss="300M")

    stage.told.on_held = threading.Thread(target=hang_up_and_ask).start
    backend.on["thaw"] = stage.exits
    record = stage.run(backend, on_limit="hold")
    assert stage.forwarded == []  # a frozen process that has no handler would end by it
    assert backend.log == ["freeze", "grace", "freeze", "budget 300 swap 0", "thaw"]
    assert not record.stopped


def test_a_held_job_continues_with_a_larger_budget(stage: Stage) -> None:
    backend = FakeBackend([BUDGET])
    asked = {"max_rss": "300M", "allow_swap": "64M"}
    stage.told.on_held = threading.Thread(target=ask, kwargs=asked).start
    backend.on["thaw"] = stage.exits
    record = stage.run(backend, on_limit="hold")
    assert backend.log == ["freeze", "grace", f"budget 300 swap {64 * MIB}", "thaw"]
    assert stage.told.log[-1] == ("released", 300)
    assert not record.stopped
    assert record.held is None


def test_a_budget_that_it_holds_already_is_refused_and_it_stays_frozen(stage: Stage) -> None:
    backend = FakeBackend([BUDGET])
    refused: list[BudgetTooSmall] = []

    def ask_twice() -> None:
        try:
            ask(max_rss="50M")
        except BudgetTooSmall as error:
            refused.append(error)
        ask(stop=True)

    stage.told.on_held = threading.Thread(target=ask_twice).start
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    record = stage.run(backend, on_limit="hold")
    assert "100 MiB" in str(refused[0])
    assert [what for what, *_ in stage.told.log] == ["held", "stays"]
    assert backend.log[:3] == ["freeze", "grace", f"signal {signal.SIGTERM}"]
    assert record.stopped


def test_a_budget_that_the_kernel_refuses_leaves_it_frozen(stage: Stage) -> None:
    backend = FakeBackend([BUDGET], refuses=OSError(errno.EBUSY, "Device or resource busy"))
    asked = threading.Event()

    def ask_twice() -> None:
        try:
            ask(max_rss="300M")
        except BudgetTooSmall as error:
            if "Device or resource busy" in str(error):
                asked.set()
        ask(stop=True)

    stage.told.on_held = threading.Thread(target=ask_twice).start
    backend.on["kill"] = lambda: stage.exits(signal.SIGKILL)
    stage.run(backend, on_limit="hold")
    assert asked.is_set()
    assert "thaw" not in backend.log[: backend.log.index(f"signal {signal.SIGTERM}")]


def test_a_watch_is_called_until_the_end_and_once_more(stage: Stage) -> None:
    calls: list[float] = []

    def watch() -> float:
        calls.append(time.monotonic())
        if len(calls) == 3:
            stage.exits()
        return 0.01

    stage.run(FakeBackend([10 * MIB]), watch=watch)
    assert len(calls) >= 4
