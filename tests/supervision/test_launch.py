"""How a job is started, with made-up ways to hold it: in which order, and that nothing is left where that fails."""

from __future__ import annotations

import errno
import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.errors import CannotStart, WorkerFailed
from oomguard.supervision import launch as module
from oomguard.supervision.launch import probe_enforcement, start_job
from oomguard.supervision.options import BudgetRequest, Enforcement
from oomguard.supervision.orphans import Orphan
from tests.supervision.fakes import BUDGET, FakeBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.supervision.started_job import StartedJob

ENFORCEMENT = Enforcement(way="cgroup v1", budget=BUDGET, hard_limit=BUDGET, cannot="", notes=("a note",), refusals=())


class World:
    """Writes down what is done, and lets a step fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[Any] = []
        self.fails_at = ""
        self.orphans: list[Orphan] = []
        self.stays: list[Orphan] = []
        self.backend = FakeBackend([0])
        self.gate_errno = 0
        self.told = ""
        self.reaper: Any = SimpleNamespace(
            pid=10, job_pid=11, abort=self.note("abort"), start=self.start, linger=lambda *what: self.log.append(what)
        )
        self.place = SimpleNamespace(close=self.note("place closed"), take_in=self.take_in)
        for name, stand_in in {
            "become_subreaper": self.note("subreaper"),
            "machine_limit": lambda: "machine",
            "find_orphans": lambda: self.orphans,
            "end_orphans": lambda orphans: [each for each in orphans if each in self.stays],
            "find_place": self.find_place,
            "start_reaper": self.start_reaper,
            "describe": lambda backend, place: ENFORCEMENT,
        }.items():
            monkeypatch.setattr(module, name, stand_in)

    def note(self, what: str) -> Callable[[], None]:
        return lambda: self.log.append(what)

    def step(self, what: str) -> None:
        self.log.append(what)
        if self.fails_at == what:
            raise OSError(errno.EAGAIN, what)

    def find_place(self, request: BudgetRequest, machine: str, *, around: object) -> Any:
        assert machine == "machine"
        self.step("place")
        return self.place

    def start_reaper(self, program: Any, *, clean_up: Any, mask: set[int]) -> Any:
        assert clean_up == self.place.close
        self.mask = mask
        self.step("reaper")
        return self.reaper

    def take_in(self, job_pid: int, reaper_pid: int, bystanders: frozenset[int]) -> FakeBackend:
        assert (job_pid, reaper_pid) == (11, 10)
        self.bystanders = bystanders
        self.step("taken in")
        return self.backend

    def start(self, told: str) -> int:
        self.told = told
        return self.gate_errno


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def started(**options: Any) -> StartedJob:
    return start_job(["true"], BudgetRequest(size=BUDGET), **options)


def test_a_job_is_in_its_place_before_it_begins(world: World) -> None:
    job = started(mask={3})
    assert world.log == ["subreaper", "place", "reaper", "taken in"]
    assert (job.enforcement, world.mask) == (ENFORCEMENT, {3})
    assert isinstance(world.bystanders, frozenset)
    assert world.told == ""


@pytest.mark.parametrize(
    ("step", "undone"),
    [("place", []), ("reaper", ["place closed"]), ("taken in", ["abort", "place closed"])],
)
def test_what_was_begun_is_undone(world: World, step: str, undone: list[str]) -> None:
    world.fails_at = step
    with pytest.raises(OSError, match=step):
        started()
    assert world.log[world.log.index(step) + 1 :] == undone


def test_the_gate_opens_with_the_budget(world: World) -> None:
    started().begin("true", "80 % of the machine")
    told = json.loads(world.told)
    assert (told["limit"], told["enforced_by"], told["explanation"]) == (BUDGET, "cgroup v1", "80 % of the machine")
    assert told["notes"] == ["a note"]


def test_why_a_command_does_not_begin_is_told(world: World) -> None:
    world.gate_errno = errno.ESRCH
    with pytest.raises(WorkerFailed, match="killed before it began"):
        started().begin("x", "")
    world.gate_errno = errno.EACCES
    with pytest.raises(CannotStart) as refused:
        started().begin("./x", "")
    assert "./x" in str(refused.value)
    assert refused.value.exit_status == 126


def test_what_an_earlier_run_left_is_ended_and_told(world: World) -> None:
    left = Orphan(pid=44, name="sleep", start_ticks=5, supervisor=3)
    world.orphans = [left]
    assert any("44 (sleep)" in note and "ended" in note for note in started().enforcement.notes)
    assert not any("still there" in note for note in started().enforcement.notes)
    world.stays = [left]
    assert any("still there: process 44" in note for note in started().enforcement.notes)
    assert started(cleans=False).enforcement.notes == ("a note",)


def test_a_probe_leaves_nothing_and_ends_nobody(world: World) -> None:
    world.orphans = [Orphan(pid=44, name="sleep", start_ticks=5, supervisor=3)]
    assert probe_enforcement(BUDGET) == ENFORCEMENT
    assert world.log[-1] == "abort"
    assert world.backend.log == ["close"]


def test_what_goes_on_is_left_to_the_reaper_with_its_budget(world: World) -> None:
    started().linger("r.json")
    assert world.log[-1] == ("cgroup v1", world.backend.limits.budget, None, "r.json")


def test_without_descriptors_there_is_no_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those that could be had are given back."""
    before, left = set(os.listdir("/proc/self/fd")), [20]
    real = os.open

    def scarce(path: Any, *options: Any) -> int:
        if path == os.devnull:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *options)

    monkeypatch.setattr(os, "open", scarce)
    with pytest.raises(OSError, match="Too many open files"):
        started()
    monkeypatch.undo()
    assert world.log == []
    assert set(os.listdir("/proc/self/fd")) == before
