"""`with oomguard.stage(...)`: free outside of a profile, whole lines inside, and never a reason for a program to fail."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import timeit
from typing import TYPE_CHECKING

import pytest

from oomguard import stages

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = ["\x1b]0;owned\x07", "a\nb\tend\tc", "\u202egnp", "\udcff", "x" * 10_000_000, "", "[bold red]x[/]"]


def told(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.fixture
def profiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "stages"
    path.touch()
    monkeypatch.setattr(stages, "_FILE", str(path))
    return path


def test_outside_of_a_profile_it_costs_less_than_a_microsecond() -> None:
    def block() -> None:
        with stages.stage("tokenize"):
            pass

    assert stages._FILE is None
    # Of CPU: other programs on the machine are not ours to measure.
    assert min(timeit.repeat(block, timer=time.process_time, number=20_000, repeat=5)) / 20_000 < 1e-6


def test_begin_and_end_also_of_a_block_that_fails(profiled: Path) -> None:
    with pytest.raises(KeyError), stages.stage("outer"), stages.stage("inner"):
        raise KeyError
    lines = told(profiled)
    assert [line[2:] for line in lines] == [["begin", "outer"], ["begin", "inner"], ["end", "inner"], ["end", "outer"]]
    assert {line[1] for line in lines} == {str(os.getpid())}
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:12].encode("unicode_escape").decode())
def test_a_name_is_one_short_field_of_one_line(profiled: Path, name: str) -> None:
    with stages.stage(name):
        pass
    begin, end = told(profiled)
    assert (len(begin), begin[2], end[2]) == (4, "begin", "end")
    assert begin[3] == end[3]
    assert begin[3].isprintable() and len(begin[3]) <= 80


def test_a_name_that_is_no_text(profiled: Path) -> None:
    with stages.stage(17):  # type: ignore[arg-type]
        pass
    assert told(profiled)[0][3] == "17"


@pytest.mark.parametrize("file", ["/no/such/folder/stages", "/dev/full", "/"])
def test_a_profiler_that_is_gone_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.setattr(stages, "_FILE", file)
    done = False
    with stages.stage("goes on"):
        done = True
    assert done


def test_several_processes_at_once(tmp_path: Path) -> None:
    """As programs write it: the variable is in the environment, the processes are forked and write at the same time."""
    path = tmp_path / "stages"
    path.touch()
    program = """
import os
from oomguard.stages import stage
for child in range(4):
    if os.fork() == 0:
        for number in range(200):
            with stage(f"{child}:{number} " + "x" * 60):
                pass
        os._exit(0)
for child in range(4):
    os.wait()
"""
    environment = {**os.environ, stages.STAGES_VARIABLE: str(path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)
    lines = told(path)
    assert len(lines) == 4 * 200 * 2
    assert {len(line) for line in lines} == {4}
    pids = {line[1] for line in lines}
    assert len(pids) == 4
    for pid in pids:
        own = [line[2] for line in lines if line[1] == pid]
        assert own == ["begin", "end"] * 200


@pytest.mark.parametrize("profiled", [False, True])
def test_a_function_can_be_a_stage(profiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oomguard.stages._FILE", str(tmp_path / "told") if profiled else None)
    (tmp_path / "told").touch()

    @stages.stage("twice")  # type: ignore[operator]  # its annotation promises only a context manager
    def double(number: int) -> int:
        return 2 * number

    assert [double(1), double(2)] == [2, 4]
    assert (tmp_path / "told").read_text().count("twice") == (4 if profiled else 0)


def test_a_clock_that_is_set_moves_no_stage(profiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour came between the begin and the end of one, in a profile of half a second."""
    before = time.monotonic()
    monkeypatch.setattr(time, "time", lambda: 1e9)
    with stages.stage("tokenize"):
        monkeypatch.setattr(time, "time", lambda: 1e9 + 3600)
    times = [float(line[0]) for line in told(profiled)]
    assert before - 1e-6 <= times[0] <= times[1] <= time.monotonic() + 1e-6
