"""The reaper, with real processes of a moment: what it tells, and that nothing outlives it."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.proc import ProcessTree
from oomguard.supervision.reaper import REAPER_NAME, JobEvent, Program, Reaper, start_reaper

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEPS = (sys.executable, "-c", "import time; time.sleep(60)")


@contextmanager
def started(program: Program, marks: Path | None = None) -> Iterator[Reaper]:
    """A reaper whose cleaning up leaves a file behind."""
    reaper = start_reaper(program, clean_up=marks.touch if marks else lambda: None, mask=set())
    try:
        yield reaper
    finally:
        if reaper._control_fd >= 0:
            reaper.abort()


def next_events(reaper: Reaper) -> list[JobEvent]:
    assert select.select([reaper.status_fd], [], [], 20)[0], "nothing was told"
    return reaper.events()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < until
        time.sleep(0.002)


def test_a_command_waits_at_its_gate_and_its_status_is_told() -> None:
    with started((sys.executable, "-c", "raise SystemExit(7)")) as reaper:
        assert not select.select([reaper.status_fd], [], [], 0.05)[0]
        assert reaper.start() == 0
        assert next_events(reaper) == [JobEvent("exited", 7 << 8)]
        reaper.finish()
    assert not is_alive(reaper.pid)


def test_a_function_is_told_its_budget_and_its_result_is_the_status() -> None:
    with started(lambda told: len(told)) as reaper:
        assert reaper.start("four") == 0
        assert next_events(reaper) == [JobEvent("exited", 4 << 8)]
        reaper.finish()


def test_a_function_runs_in_a_process_with_its_own_name_and_in_our_group(tmp_path: Path) -> None:
    """Not with the reaper's name, and where the terminal's keys reach it."""
    name = Path("/proc/self/comm").read_text()

    def look(_: str) -> int:
        mine = (Path("/proc/self/comm").read_text(), os.getpgrp())
        (tmp_path / "seen").write_text(repr(mine))
        return 0

    with started(look) as reaper:
        assert Path(f"/proc/{reaper.pid}/comm").read_text() == f"{REAPER_NAME}\n"
        reaper.start()
        next_events(reaper)
        reaper.finish()
    assert (tmp_path / "seen").read_text() == repr((name, os.getpgrp()))


def test_a_command_that_is_not_there_gives_its_errno() -> None:
    with started(("/nowhere/at/all",)) as reaper:
        assert reaper.start() == errno.ENOENT


def test_a_command_that_is_killed_at_its_gate_is_told() -> None:
    with started(SLEEPS) as reaper:
        os.kill(reaper.job_pid, signal.SIGKILL)
        assert next_events(reaper) == [JobEvent("exited", signal.SIGKILL)]
        assert reaper.start() == errno.ESRCH


def test_stops_and_continues_are_told() -> None:
    with started(SLEEPS) as reaper:
        reaper.start()
        os.kill(reaper.job_pid, signal.SIGSTOP)
        assert next_events(reaper) == [JobEvent("stopped", signal.SIGSTOP)]
        os.kill(reaper.job_pid, signal.SIGCONT)
        assert next_events(reaper) == [JobEvent("continued", 0)]


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_reaper_that_somebody_stopped_is_continued_and_one_that_is_gone_is_let_be() -> None:
    """A stopped one would tell of nothing any more; of one that is gone nothing more can be waited for."""
    with started(SLEEPS) as reaper:
        reaper.start()
        os.kill(reaper.pid, signal.SIGSTOP)
        until = time.monotonic() + 20
        while state_of(reaper.pid) == "T" or time.monotonic() < until - 19.9:
            reaper.keep_going()
            assert time.monotonic() < until
        os.kill(reaper.pid, signal.SIGKILL)
        wait_until_gone(reaper.pid)
        reaper.keep_going()
        assert not Path(f"/proc/{reaper.pid}").exists(), "it is waited for"
        reaper.keep_going()
        reaper.bury()


def test_when_the_supervisor_is_gone_all_of_the_job_ends_and_is_cleaned_up(tmp_path: Path) -> None:
    """Frozen, in other sessions, orphaned by a double fork: everything below the reaper."""
    program = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.wait()
time.sleep(60)
"""
    with started((sys.executable, "-c", program), tmp_path / "cleaned") as reaper:
        reaper.start()
        until = time.monotonic() + 20
        while len(members := ProcessTree(reaper.pid, with_root=False).pids()) < 2 or not all(map(is_alive, members)):
            assert time.monotonic() < until
            time.sleep(0.01)
        reaper.abort()  # closes the pipe, as the supervisor's death does
    assert [pid for pid in members if is_alive(pid)] == []
    assert (tmp_path / "cleaned").exists()


def test_the_command_dies_with_the_reaper() -> None:
    with started(SLEEPS) as reaper:
        reaper.start()
        os.kill(reaper.pid, signal.SIGKILL)
        assert next_events(reaper)[-1].kind == "gone"
        wait_until_gone(reaper.job_pid)


def test_what_goes_on_in_the_background_is_waited_for_and_cleaned_up(tmp_path: Path) -> None:
    program = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(0.4)'])"
    with started((sys.executable, "-c", program), tmp_path / "cleaned") as reaper:
        reaper.start()
        assert next_events(reaper) == [JobEvent("exited", 0)]
        reaper.linger("cgroup v1", 1 << 20, None)
        assert is_alive(reaper.pid)
        os.waitpid(reaper.pid, 0)
        reaper._is_buried = True
    assert (tmp_path / "cleaned").exists()
