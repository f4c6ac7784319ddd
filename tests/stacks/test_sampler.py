"""Stacks by a helper process: of real programs, of none, and when the helper dies or hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.stacks import sampler as stack_sampler
from oomguard.stacks.sampler import Frames, StackSampler
from tests.kernel.other_processes import grown

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs other tests may let the helper wait."""
    monkeypatch.setattr(stack_sampler, "_ANSWER_SECONDS", 10.0)


@pytest.fixture
def sampler() -> Iterator[StackSampler]:
    sampler = StackSampler()
    yield sampler
    sampler.close()
    assert sampler._child == 0


def ask(sampler: StackSampler, pid: int, *, seconds: float = 15.0) -> Frames:
    assert sampler.ask(pid)
    until = time.monotonic() + seconds
    while (answer := sampler.answer()) is None:
        assert time.monotonic() < until, "no answer"
        time.sleep(0.001)
    assert answer[0] == pid
    return answer[1]


def check(frames: Frames) -> None:
    assert [(Path(file).name, function) for file, _, function in frames] == [
        ("grow.py", "wait"), ("grow.py", "load"), ("grow.py", "<module>")
    ]  # fmt: skip
    assert frames[1][1] == 11


def test_a_real_program_many_times(tmp_path: Path, sampler: StackSampler) -> None:
    with grown(tmp_path) as process:
        check(ask(sampler, process.pid))
        took = []
        for _ in range(20):
            began = time.monotonic()
            check(ask(sampler, process.pid))
            took.append(time.monotonic() - began)
        assert min(took) < 0.25
        assert sampler.refused == ""


def test_asking_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a helper that never answers: what waited for it would not come back before its time is over."""

    def never(*_: int) -> None:
        while True:
            signal.pause()

    monkeypatch.setattr(stack_sampler, "_serve", never)
    sampler = StackSampler()
    try:
        assert sampler.answer() is None
        assert sampler.ask(os.getpid())
        assert not sampler.ask(os.getpid()), "one question at a time"
        assert sampler.answer() is None
        monkeypatch.setattr(stack_sampler, "_is_readable", lambda _: False)
        sampler._until = 0.0
        assert sampler.answer() == (os.getpid(), [])
        assert "too long" in sampler.refused
    finally:
        sampler.close()


def test_what_is_no_python_or_has_ended_has_a_reason(sampler: StackSampler) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleep:
        assert ask(sampler, sleep.pid) == []
        assert sampler.refused
        sleep.kill()
    assert ask(sampler, sleep.pid) == []
    assert sampler.refused


def test_a_helper_that_died_is_replaced(tmp_path: Path, sampler: StackSampler) -> None:
    with grown(tmp_path) as process:
        check(ask(sampler, process.pid))
        os.kill(sampler._child, signal.SIGKILL)
        first = ask(sampler, process.pid)
        assert first == [] and "crashed" in sampler.refused
        check(ask(sampler, process.pid))
        assert sampler.refused == ""


def test_a_helper_that_hangs_is_replaced(
    tmp_path: Path, sampler: StackSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_sampler, "_ANSWER_SECONDS", 0.2)
    with grown(tmp_path) as process:
        check(ask(sampler, process.pid))
        os.kill(sampler._child, signal.SIGSTOP)
        began = time.monotonic()
        assert ask(sampler, process.pid) == []
        assert time.monotonic() - began < 10  # which it is given without the change above
        assert "took too long" in sampler.refused
        monkeypatch.setattr(stack_sampler, "_ANSWER_SECONDS", 10.0)
        check(ask(sampler, process.pid))


def test_a_helper_that_always_dies_is_not_started_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_sampler, "_serve", lambda *_: os._exit(3))
    sampler = StackSampler()
    with grown(tmp_path) as process:
        for _ in range(12):
            assert ask(sampler, process.pid) == []
            assert sampler.refused
    assert sampler._starts <= 5
    sampler.close()


def test_control_c_is_for_the_program_not_for_the_helper(tmp_path: Path, sampler: StackSampler) -> None:
    """A terminal sends it to both; what the program does last is still seen."""
    with grown(tmp_path) as process:
        check(ask(sampler, process.pid))
        os.kill(sampler._child, signal.SIGINT)
        check(ask(sampler, process.pid))


def test_the_helper_ends_with_its_profiler_and_keeps_nothing_open(tmp_path: Path) -> None:
    program = """
import os, sys, time
from oomguard.stacks.sampler import StackSampler
pipe = os.pipe()
os.set_inheritable(pipe[1], True)
sampler = StackSampler()
sampler.ask(os.getpid())
until = time.monotonic() + 15
while not sampler.answer() and time.monotonic() < until:
    time.sleep(0.001)
print(sampler._child, pipe[1], flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as profiler:
        assert profiler.stdout is not None
        helper, pipe = map(int, profiler.stdout.readline().split())
        others = Path(f"/proc/{profiler.pid}/fd/{pipe}").readlink()
        opened = [link.readlink() for link in Path(f"/proc/{helper}/fd").iterdir()]
        assert others not in opened
        assert len(opened) <= 6
        profiler.kill()
        profiler.wait()
        until = time.monotonic() + 5
        while Path(f"/proc/{helper}/exe").exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert not Path(f"/proc/{helper}/exe").exists()


def test_without_pystack_it_says_how_to_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from oomguard.stacks import pystack as python_stacks

    for module in (stack_sampler, python_stacks):
        monkeypatch.setattr(module, "find_spec", lambda _: None)
    monkeypatch.setattr("oomguard.stacks.cpython.python_layout", lambda *_: None)  # a Python that is not known
    monkeypatch.setenv("PATH", str(tmp_path))  # no py-spy
    sampler = StackSampler()
    with grown(tmp_path) as process:
        assert ask(sampler, process.pid) == []
    assert "oomguard[stack]" in sampler.refused
    sampler.close()
