"""Supervisor and reaper are killed together: what is left of the run is found, named and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.supervision.orphans import find_orphans
from tests.live.guarded import WAYS, child_of, state, wait_for
from tests.live.run_cases import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

# A child that ignores its parent's end, in a session of its own, and writes where it is.
LEAVES = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open("child", "w").write(str(child.pid))
time.sleep(600)
"""


def oomguard(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oomguard", *arguments],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(params=WAYS)
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The pids of a process that was left, stopped, and of the supervisor that it had."""
    flags = ["--max-rss", "100M", "--enforce", request.param, "--quiet"]
    run = subprocess.Popen(
        [sys.executable, "-m", "oomguard", "run", *flags, "--", sys.executable, "-c", LEAVES],
        # In a session of its own: where that of the tests has no terminal, the kernel hangs up a group with a stopped process.
        cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: "OOMGUARD_JOB=" in Path(f"/proc/{child}/environ").read_text())
    reaper = child_of(run.pid)
    command = child_of(reaper)
    os.kill(child, signal.SIGSTOP)  # as a snapshot by polling leaves it
    os.kill(run.pid, signal.SIGSTOP)
    os.kill(reaper, signal.SIGKILL)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    wait_for(lambda: state(command) in (None, "Z"))  # ends with the reaper
    wait_for(lambda: state(child) == "T")  # what is asked to stop does so when its turn comes
    yield child, run.pid
    if state(child) not in (None, "Z"):
        os.kill(child, signal.SIGKILL)


def gone(pid: int) -> bool:
    return state(pid) in (None, "Z")


def test_the_next_run_ends_it_and_says_so(tmp_path: Path, left: tuple[int, int]) -> None:
    child, _ = left
    run = oomguard(tmp_path, "run", "--max-rss", "100M", "--", "true")
    assert run.returncode == 0
    assert f"an earlier run's supervisor and reaper were killed; ended what it had left: process {child} (" in " ".join(
        run.stderr.split()
    ).replace("oomguard: ", "")
    assert gone(child)


def test_release_names_it_and_ends_it(tmp_path: Path, left: tuple[int, int]) -> None:
    child, supervisor = left
    named = oomguard(tmp_path, "release", str(supervisor))
    assert named.returncode == 1
    assert f"process {child} (" in named.stderr
    assert f"try: oomguard release {supervisor} --stop" in named.stderr
    assert not gone(child)
    assert oomguard(tmp_path, "release", str(supervisor), "--stop").returncode == 0
    assert gone(child)


def test_doctor_names_it_and_clean_ends_it(tmp_path: Path, left: tuple[int, int]) -> None:
    child, _ = left
    # doctor tries how a run would be held, and that is not to end anything
    assert child in [orphan.pid for orphan in find_orphans()]
    named = oomguard(tmp_path, "doctor", "--json")
    assert f"process {child} (" in named.stdout
    assert "oomguard doctor --clean" in named.stdout
    assert not gone(child)
    cleaned = oomguard(tmp_path, "doctor", "--clean")
    assert f"ended process {child} (" in cleaned.stdout
    assert gone(child)
    assert oomguard(tmp_path, "doctor", "--clean").stdout == "nothing is left of earlier runs\n"


def test_a_run_whose_reaper_lives_is_let_alone(tmp_path: Path) -> None:
    """Its supervisor has ended, and what the command left in the background goes on, as it may."""
    program = f"setsid {sys.executable} -c 'import time; time.sleep(600)' >&- 2>&- & echo $! > child"
    run = oomguard(tmp_path, "run", "--max-rss", "100M", "--quiet", "--", "sh", "-c", program)
    assert run.returncode == 0
    child = int((tmp_path / "child").read_text())
    try:
        time.sleep(0.3)
        assert child not in [orphan.pid for orphan in find_orphans()]
        assert oomguard(tmp_path, "run", "--max-rss", "100M", "--quiet", "--", "true").returncode == 0
        assert not gone(child)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    "flags", [["--pid", "--fork", "--mount-proc"], ["--time", "--fork", "--monotonic", "1000", "--boottime", "1000"]]
)
def test_a_run_in_a_container_is_nobody_s_orphan(tmp_path: Path, flags: list[str]) -> None:
    """Pids, or the times of starts, are counted anew there: its reaper cannot be found by them."""
    if os.geteuid() != 0 or subprocess.run(["unshare", *flags, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs root, and unshare of util-linux 2.36")
    job = "import time; open('begun', 'w').close(); time.sleep(600)"
    command = [sys.executable, "-m", "oomguard", "run", "--max-rss", "100M", "--quiet", "--", sys.executable, "-c", job]
    inside = subprocess.Popen(["unshare", *flags, *command], cwd=tmp_path, env=environment(), process_group=0)
    try:
        wait_for((tmp_path / "begun").exists)
        taken = [orphan.pid for orphan in find_orphans(of_all_users=True)]
        assert not [pid for pid in taken if Path(f"/proc/{pid}/cwd").resolve() == tmp_path]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(inside.pid, signal.SIGKILL)
        inside.wait()
