"""Start commands under a guard, and wait for what becomes of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.live.run_cases import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
WAYS = ["cgroup", "watchdog"]
OOMGUARD = [sys.executable, "-m", "oomguard"]


def run(
    folder: Path, *arguments: str, budget: str = "100M", way: str = "auto", stdin: str = ""
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    report = folder / "report.json"
    done = subprocess.run(
        [*OOMGUARD, "run", "--max-rss", budget, "--enforce", way, "--report", str(report), *arguments],
        cwd=folder, env=environment(), input=stdin, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done, json.loads(report.read_text()) if report.exists() else {}


@contextmanager
def started(folder: Path, *arguments: str, budget: str = "100M", way: str = "auto") -> Iterator[subprocess.Popen[str]]:
    # In a group of its own, as a shell would: a group whose last tie to its session goes while one of it is stopped is
    # sent SIGHUP by the kernel, and this one would be the tests' own.
    guard = subprocess.Popen(
        [*OOMGUARD, "run", "--max-rss", budget, "--enforce", way, *arguments],
        cwd=folder, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        process_group=0,
    )  # fmt: skip
    with guard:
        try:
            yield guard
        finally:
            guard.kill()


def child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + 60
    while not children.read_text().split():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return int(children.read_text().split()[0])


def state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def read_until(guard: subprocess.Popen[str], words: str) -> str:
    assert guard.stderr is not None
    said = ""
    while words not in said:
        line = guard.stderr.readline()
        assert line, said
        said += line
    return said
