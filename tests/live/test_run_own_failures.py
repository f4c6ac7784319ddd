"""What fails in oomguard, or cannot be told, changes nothing: not whether the command runs, not its status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.formats.cgroup import parse_proc_cgroup
from tests.live.guarded import MIB, OOMGUARD, child_of
from tests.live.run_cases import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.live, pytest.mark.pairs, pytest.mark.usefixtures("nothing_is_left")]

RUN = [*OOMGUARD, "run", "--max-rss", "50M"]
SEVEN = ["--", "sh", "-c", "while test -e wait; do sleep 0.02; done; echo ran > ran; exit 7"]
GROWS = "held = []\nwhile True: held.append(bytearray(b'x') * (1 << 20))\n"


@contextmanager
def processes_limited_to(number: int) -> Iterator[list[str]]:
    """A cgroup in which no more may be; gives a command that enters it, and becomes the one that follows."""
    mount = next(each for each in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")) if each.is_dir())
    own = parse_proc_cgroup(Path("/proc/self/cgroup").read_text()).get("pids" if mount.name == "pids" else "", "/")
    path = mount / own.lstrip("/") / f"oomguard-{os.getpid()}"
    try:
        path.mkdir()
        (path / "pids.max").write_text(str(number))
    except OSError as error:
        pytest.skip(f"no pids controller to be had here: {error}")
    try:
        yield ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(path)]
    finally:
        until = time.monotonic() + 10
        while path.exists() and time.monotonic() < until:
            try:
                path.rmdir()
            except OSError:
                time.sleep(0.05)


@pytest.mark.parametrize("flags", [[], ["--quiet"], ["--json"], ["--report", "/dev/full"], ["--enforce", "watchdog"]])
@pytest.mark.parametrize("where", ["full", "no reader", "no reader from the middle on", "closed"])
def test_a_standard_error_that_cannot_be_written_changes_nothing(tmp_path: Path, where: str, flags: list[str]) -> None:
    ours, theirs = os.pipe()
    if where == "full":
        os.close(theirs)
        theirs = os.open("/dev/full", os.O_WRONLY)
    elif where == "no reader":
        os.close(ours)
    before = ["sh", "-c", 'exec "$@" 2>&-', "sh"] if where == "closed" else []
    if where == "no reader from the middle on":
        (tmp_path / "wait").touch()
    with subprocess.Popen([*before, *RUN, *flags, *SEVEN], cwd=tmp_path, env=environment(), stderr=theirs) as guard:
        os.close(theirs)
        if where == "no reader from the middle on":
            if "--quiet" not in flags and "--json" not in flags:
                os.read(ours, 10)
            else:
                child_of(child_of(guard.pid))
            os.close(ours)
            (tmp_path / "wait").unlink()
        status = guard.wait(timeout=60)
    assert (status, (tmp_path / "ran").exists()) == (7, True)


@pytest.mark.parametrize("flags", [[], ["--json"], ["--on-limit", "kill"]])
def test_who_is_stopped_at_the_budget_is_told_so_by_the_status_alone(tmp_path: Path, flags: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*RUN, *flags, "--report", "report.json", "--", sys.executable, "-c", GROWS],
            cwd=tmp_path, env=environment(), stderr=full, timeout=60, check=False,
        )  # fmt: skip
    facts = json.loads((tmp_path / "report.json").read_text())
    assert (done.returncode, facts["stopped_by"]) == (137, "budget")


def test_what_cannot_be_started_or_asked_for_has_its_status_too(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        for status, *arguments in ((127, "--", "no-such-program"), (125, "--grace", "x", "--", "true")):
            done = subprocess.run([*RUN, *arguments], cwd=tmp_path, env=environment(), stderr=full, check=False)
            assert done.returncode == status


def test_a_report_that_cannot_be_written_is_a_warning_and_no_half_of_it_stays(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a full disk is made by mounting a small one, which takes root")
    try:
        (disk / "filler").write_bytes(bytes(64 << 10))
        report = disk / "report.json"
        command = [*RUN, "--report", str(report), "--", "sh", "-c", "echo out; exit 7"]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (7, "out\n")
        assert "warning: cannot write the report" in " ".join(done.stderr.split())
        assert not report.exists()
        command = [*RUN, "--quiet", "--report", "/dev/null", "--", "true"]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr, Path("/dev/null").exists()) == (0, "", True)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_report_that_can_be_known_not_to_be_written_is_refused_before_the_command_starts(tmp_path: Path) -> None:
    command = [*RUN, "--report", "nowhere/report.json", "--", "touch", "ran"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert 'cannot write the report to "nowhere/report.json"' in done.stderr
    assert not (tmp_path / "ran").exists()


USES_ALL_PROCESSES = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
forked = []
try:
    while True:
        forked.append(os.fork())
        if not forked[-1]:
            time.sleep(60)
            os._exit(0)
except BlockingIOError:
    pass
held = []
while True:
    held.append(bytearray(b"x") * (1 << 20))
"""


@pytest.mark.parametrize("way", ["cgroup", "watchdog"])
def test_where_no_process_is_left_to_read_it_the_job_is_stopped_all_the_same(tmp_path: Path, way: str) -> None:
    with processes_limited_to(20) as enter:
        command = [*OOMGUARD, "run", "--max-rss", "150M", "--enforce", way, "--report", "report.json", "--"]
        done = subprocess.run(
            [*enter, *command, sys.executable, "-c", USES_ALL_PROCESSES],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert "Traceback" not in done.stderr
    facts = json.loads((tmp_path / "report.json").read_text())
    assert (done.returncode, facts["stopped_by"]) == (137, "budget"), done.stderr
    assert {stack["read_by"] for stack in facts["stacks"]} <= {"oomguard"}  # which needs no process
    assert facts["held_unreclaimable"] > 140 * MIB
    assert facts["processes"]
    assert set(facts["unread_stacks"].values()) <= {
        "there was no process to read it with: Resource temporarily unavailable"
    }


@pytest.mark.parametrize("most", [1, 2])
def test_without_processes_to_start_with_it_says_so_with_125(tmp_path: Path, most: int) -> None:
    with processes_limited_to(most) as enter:
        done = subprocess.run(
            [*enter, *RUN, *SEVEN],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (125, False), done.stderr
    assert "ulimit -u" in done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("most", [10, 12, 16, 20, 24, 30, 36, 48, 64])
def test_with_few_descriptors_it_works_or_says_so_with_125(tmp_path: Path, most: int) -> None:
    """Before there is a job: never in the middle of it."""
    command = ["sh", "-c", f'ulimit -n {most}; exec "$@"', "sh", *RUN, "--", sys.executable, "-c", GROWS]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 137 if most >= 48 else done.returncode in (125, 137), done.stderr
    assert ("ulimit -n" in done.stderr) is (done.returncode == 125)
