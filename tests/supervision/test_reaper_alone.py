"""What the reaper does in its own process, played in this one: with made-up children and no fork."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.supervision import reaper as module
from oomguard.supervision.backends import polling
from oomguard.supervision.reaper import JobEvent, Reaper

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 1 << 22  # no process has it
STOPPED_BY_TSTP = (signal.SIGTSTP << 8) | 0x7F
CONTINUED = 0xFFFF


class Pipes:
    """The supervisor's ends of the reaper's pipes, and the reaper's."""

    def __init__(self) -> None:
        self.status, self.control, self.gate, self.executed = (os.pipe() for _ in range(4))
        self.reaper = Reaper(
            pid=NOBODY,
            job_pid=NOBODY + 1,
            status_fd=self.status[0],
            _control_fd=self.control[1],
            _gate_fd=self.gate[1],
            _exec_fd=self.executed[0],
        )

    def close(self) -> None:
        for fd in (*self.status, *self.control, *self.gate, *self.executed):
            try:
                os.close(fd)
            except OSError:
                continue  # closed already


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    yield made
    made.close()


def children(monkeypatch: pytest.MonkeyPatch, *changes: tuple[int, int]) -> None:
    """What waitpid() tells, and then that nothing else has changed."""
    left = list(changes)
    monkeypatch.setattr(os, "waitpid", lambda *_: left.pop(0) if left else (0, 0))


# ---- the supervisor's side ----


def test_events_come_in_parts_and_several_at_once(pipes: Pipes) -> None:
    os.write(pipes.status[1], b"stopped 20\nconti")
    assert pipes.reaper.events() == [JobEvent("stopped", 20)]
    os.write(pipes.status[1], b"nued 0\nexited 256\n")
    assert pipes.reaper.events() == [JobEvent("continued", 0), JobEvent("exited", 256)]
    os.close(pipes.status[1])
    assert pipes.reaper.events() == [JobEvent("gone", 0)]


@pytest.mark.parametrize(("answer", "number"), [(b"", 0), (module._ERRNO.pack(errno.ENOENT), errno.ENOENT), (b"ab", 0)])
def test_a_command_that_was_executed_says_nothing(pipes: Pipes, answer: bytes, number: int) -> None:
    os.write(pipes.executed[1], answer)
    os.close(pipes.executed[1])
    assert pipes.reaper.start("told") == number
    assert os.read(pipes.gate[0], 99) == b"told"
    assert os.read(pipes.gate[0], 99) == b"", "the gate is closed, so that all of it can be read"


def test_a_reaper_is_waited_for_once(pipes: Pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[tuple[int, int]] = []

    def wait(pid: int, options: int) -> tuple[int, int]:
        waited.append((pid, options))
        return pid, 0

    monkeypatch.setattr(os, "waitpid", wait)
    pipes.reaper.finish()
    pipes.reaper.bury()
    assert waited == [(NOBODY, os.WUNTRACED)]
    assert os.read(pipes.control[0], 99) == b"done\n"


def test_what_cannot_be_said_to_a_reaper_that_is_gone_is_no_error(pipes: Pipes) -> None:
    os.close(pipes.control[0])
    pipes.reaper.linger("polling", 5, None)


def test_an_aborted_job_sees_its_supervisor_die(pipes: Pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []

    def wait(pid: int, _: int) -> tuple[int, int]:
        waited.append(pid)
        return pid, 0

    monkeypatch.setattr(os, "waitpid", wait)
    pipes.reaper.abort()
    assert os.read(pipes.control[0], 9) == b""
    assert waited == [NOBODY]
    assert pipes.reaper._control_fd == -1


@pytest.mark.parametrize("cgroup", [None, Path("/sys/fs/cgroup/x\ny")])
def test_what_goes_on_is_described_in_one_line(pipes: Pipes, cgroup: Path | None) -> None:
    pipes.reaper.linger("cgroup v1", 77, cgroup, "r.json")
    said = os.read(pipes.control[0], 999)
    assert said.count(b"\n") == 1
    facts = {"kind": "cgroup v1", "budget": 77, "cgroup": str(cgroup or ""), "report": "r.json"}
    assert json.loads(said) == facts


@pytest.mark.parametrize("fails", ["the fork of the reaper", "the reaper's own"])
def test_without_a_process_no_descriptor_and_no_child_is_left(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    before = set(os.listdir("/proc/self/fd"))
    children_before = psutil.Process().children()
    real = os.fork
    first = [fails == "the fork of the reaper"]

    def fork() -> int:
        if first[0]:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        first[0] = True  # that of the child, which has a copy of this
        return real()

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(OSError) as refused:  # noqa: PT011 - the number says which
        module.start_reaper(["true"], clean_up=lambda: None, mask=set())
    assert refused.value.errno == errno.EAGAIN
    monkeypatch.undo()
    if fails == "the reaper's own":
        assert set(os.listdir("/proc/self/fd")) == before
        assert psutil.Process().children() == children_before


# ---- the reaper's side ----


@pytest.mark.parametrize(
    ("status", "told"),
    [(STOPPED_BY_TSTP, b"stopped 20\n"), (CONTINUED, b"continued 0\n"), (9, b"exited 9\n"), (3 << 8, b"exited 768\n")],
)
def test_each_change_of_the_command_is_told(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch, status: int, told: bytes
) -> None:
    children(monkeypatch, (5, 1 << 8), (NOBODY, status), (6, 0))
    module._report_changes(NOBODY, pipes.status[1])
    assert os.read(pipes.status[0], 99) == told


def test_a_supervisor_that_is_gone_is_told_nothing(pipes: Pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    children(monkeypatch, (NOBODY, 0))
    os.close(pipes.status[0])
    module._report_changes(NOBODY, pipes.status[1])


def test_all_that_changed_is_taken_until_there_are_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    children(monkeypatch, (5, 0), (6, 9))
    assert module._changed_children() == [(5, 0), (6, 9)]

    def none(*_: object) -> tuple[int, int]:
        raise ChildProcessError

    monkeypatch.setattr(os, "waitpid", none)
    assert module._changed_children() == []


class FakeSignalFile:
    """One that has none, and whose descriptor is never ready."""

    def __init__(self) -> None:
        self.fd, self._other = os.pipe()
        self.asked = 0

    def read(self) -> list[Any]:
        self.asked += 1
        return []

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._other)


@pytest.fixture
def signals() -> Iterator[FakeSignalFile]:
    made = FakeSignalFile()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("message", "is_gone", "does"),
    [
        (b"done\n", False, []),
        (b'{"kind": "x", "budget": 9}\n', True, [{"kind": "x", "budget": 9}]),
        (b"", True, ["all"]),
    ],
    ids=["the job is over", "some of it goes on", "the supervisor is gone"],
)
def test_what_the_supervisor_says_last(
    pipes: Pipes,
    signals: FakeSignalFile,
    monkeypatch: pytest.MonkeyPatch,
    message: bytes,
    is_gone: bool,
    does: list[Any],
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(module, "_end_all", lambda: done.append("all"))
    monkeypatch.setattr(module, "_linger", lambda signals, **what: done.append(what))
    os.write(pipes.control[1], message)
    os.close(pipes.control[1])
    assert module._wait(NOBODY, pipes.status[1], pipes.control[0], signals) == is_gone  # type: ignore[arg-type]
    assert done == does


class Tree:
    """Descendants that are there for a while: `rounds` of them."""

    def __init__(self, rounds: list[list[int]]) -> None:
        self.rounds = rounds

    def __call__(self, root: int, *, with_root: bool) -> Tree:
        assert (root, with_root) == (os.getpid(), False)
        return self

    def pids(self) -> list[int]:
        return self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]


def test_every_descendant_is_killed_until_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each only as long as its parent is one of them, or the reaper: a pid may be another's by then."""
    monkeypatch.setattr(module, "ProcessTree", Tree([[7, 8], [9], []]))
    children(monkeypatch)
    sent: list[tuple[int, int]] = []
    meant: list[bool] = []

    def signal_if(pid: int, number: int, is_meant: Any) -> None:
        sent.append((pid, number))
        meant.extend(is_meant(SimpleNamespace(parent_pid=parent)) for parent in (os.getpid(), pid, 1))

    monkeypatch.setattr(module, "signal_if", signal_if)
    module._end_all()
    assert sorted(sent) == [(7, signal.SIGKILL), (8, signal.SIGKILL), (9, signal.SIGKILL)]
    assert meant == [True, True, False] * 3


def test_what_cannot_be_killed_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ProcessTree", Tree([[7]]))
    monkeypatch.setattr(module, "_END_SECONDS", 0.05)
    monkeypatch.setattr(module, "signal_if", lambda *_: None)
    children(monkeypatch)
    module._end_all()


class Memcg:
    """A cgroup in which the kernel has killed one process by the second time that it is asked."""

    def __init__(self, path: Path, version: int, mount_point: Path) -> None:
        assert (version, mount_point) == (1, path.parent)
        self.path, self._kills = path, [0, 1]

    def oom_kills(self) -> int:
        return self._kills.pop(0)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int]]:
    """What is added to reports."""
    from oomguard.supervision import kernel_kills

    added: list[tuple[Path, int]] = []
    monkeypatch.setattr(kernel_kills, "MemcgDir", Memcg)

    def add(report: Path, killed: int) -> bool:
        added.append((report, killed))
        return True

    monkeypatch.setattr(kernel_kills, "_add", add)
    children(monkeypatch)
    return added


@pytest.mark.parametrize("in_cgroup", [False, True])
@pytest.mark.parametrize("report", [None, "r.json"])
def test_what_goes_on_is_waited_for_and_its_cgroup_removed(
    signals: FakeSignalFile,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    later: list[tuple[Path, int]],
    in_cgroup: bool,
    report: str | None,
) -> None:
    monkeypatch.setattr(module, "ProcessTree", Tree([[7], [7], [7], []]))
    monkeypatch.setattr(module, "_LINGER_STEP_SECONDS", 0.03)
    monkeypatch.setattr(module, "_end_all", lambda: pytest.fail("the kernel holds it"))
    removed: list[Path] = []
    monkeypatch.setattr(cgroup_files, "remove_when_empty", removed.append)
    began = time.monotonic()
    module._linger("cgroup v1", 9, str(tmp_path) if in_cgroup else "", report, signals=signals)  # type: ignore[arg-type]
    assert signals.asked == 3
    assert time.monotonic() - began >= 0.09, "it does not turn round and round"
    assert removed == ([tmp_path] if in_cgroup else [])
    assert later == ([(Path("r.json"), 1)] if in_cgroup and report else [])


@pytest.mark.parametrize(("held", "ended"), [(99, 0), (100, 1), (101, 1)])
def test_what_goes_on_keeps_the_budget_where_only_looking_does(
    signals: FakeSignalFile, monkeypatch: pytest.MonkeyPatch, later: list[tuple[Path, int]], held: int, ended: int
) -> None:
    watched: list[int] = []

    class Backend:
        def __init__(self, budget: int, above: list[Any]) -> None:
            assert (budget, above) == (100, [])
            self.limits = SimpleNamespace(budget=budget)

        def watch_below(self, pid: int) -> None:
            watched.append(pid)

        def read_memory(self) -> Any:
            return SimpleNamespace(unreclaimable=held)

    monkeypatch.setattr(polling, "PollingBackend", Backend)
    monkeypatch.setattr(module, "ProcessTree", Tree([[7, 8], []]))
    monkeypatch.setattr(module, "_LINGER_STEP_SECONDS", 0.001)
    done: list[str] = []
    monkeypatch.setattr(module, "_end_all", lambda: done.append("all"))
    module._linger("polling", 100, "", "r.json", signals=signals)  # type: ignore[arg-type]
    assert (watched, len(done)) == ([os.getpid()], ended)
    assert later == ([(Path("r.json"), 2)] if ended else [])


def test_a_script_without_a_first_line_is_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[str, list[str]]] = []

    def no_format(file: str, words: list[str]) -> None:
        raise OSError(errno.ENOEXEC, file, words)

    monkeypatch.setattr(os, "execvp", no_format)
    monkeypatch.setattr(os, "execv", lambda file, words: tried.append((file, words)))
    module._execute(("./x", "1"))
    assert tried == [("/bin/sh", ["/bin/sh", "./x", "1"])]


def test_where_nobody_was_killed_nothing_is_added_to_the_report(
    signals: FakeSignalFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, later: list[tuple[Path, int]]
) -> None:
    monkeypatch.setattr(module, "ProcessTree", Tree([[]]))
    monkeypatch.setattr(cgroup_files, "remove_when_empty", lambda _: None)
    for kills in (0, None):  # None: the kernel did not say
        monkeypatch.setattr(Memcg, "oom_kills", lambda _, kills=kills: kills)
        module._linger("cgroup v1", 9, str(tmp_path), "r.json", signals=signals)  # type: ignore[arg-type]
    assert later == []
