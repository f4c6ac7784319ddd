"""Programs that break a budget of 200 MiB at a known line, and what the report must say of each.

Used by the tests here, by the campaign (`make runs`) and in the virtual machine; needs nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

MIB = 1 << 20
BUDGET = 200 * MIB
_MARK = "  # here"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One program. The line that holds the memory ends with the mark."""

    program: str
    function: str
    arguments: dict[str, set[str]]  # of that function: the values that it may have
    processes: int = 1

    @property
    def line(self) -> int:
        return next(n for n, line in enumerate(self.program.splitlines(), 1) if line.endswith(_MARK))


_LOAD = """
def load(path, rows):
    held = []
    for i in range(rows):
        held.append(bytearray(b"x") * (1 << 20))  # here
    return held
"""

CASES = {
    "single": Case(
        program=f"{_LOAD}\nload('train.txt', 3000)\n",
        function="load",
        arguments={"path": {'"train.txt"'}, "rows": {"3000"}},
    ),
    "pool": Case(
        program=f"""import multiprocessing
{_LOAD}
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.starmap(load, [(f"part-{{n}}.txt", 3000) for n in range(4)])
""",
        function="load",
        arguments={"path": {f'"part-{n}.txt"' for n in range(4)}, "rows": {"3000"}},
        processes=5,
    ),
    "threads": Case(
        program=f"""import threading
{_LOAD}
threads = [threading.Thread(target=load, args=(f"part-{{n}}.txt", 3000)) for n in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
""",
        function="load",
        arguments={"path": {f'"part-{n}.txt"' for n in range(4)}, "rows": {"3000"}},
    ),
    "burst": Case(
        program="""
def fill(path, size):
    return bytearray(b"x") * size  # here

fill("train.txt", 1 << 30)
""",
        function="fill",
        arguments={"path": {'"train.txt"'}, "size": {str(1 << 30)}},
    ),
    "read": Case(
        program="""import os

def read_whole(path):
    with open(path, "rb") as file:
        return file.read()  # here

with open("train.txt", "wb") as file:
    os.truncate("train.txt", 1 << 30)
read_whole("train.txt")
""",
        function="read_whole",
        arguments={"path": {'"train.txt"'}},
    ),
}

# Counts every signal that it gets, and holds its memory.
BYSTANDER = """
import signal, sys, time
got = []
for number in signal.valid_signals():
    try:
        signal.signal(number, lambda number, frame: got.append(number))
    except OSError:
        pass
held = []
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.01)[0]:
    held = [bytearray(b"x") * (1 << 20) for _ in range(100)]
print(got, flush=True)
""".replace("import signal", "import select, signal")


def run_case(case: Case, folder: Path, *flags: str, max_rss: str = "200M") -> tuple[int, dict[str, Any], str, float]:
    """Run a case; give its exit status, its report, what was said on standard error, and how long it took."""
    (folder / "hog.py").write_text(case.program)
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "oomguard", "run", "--max-rss", max_rss, "--report", str(report), *flags,
         "--", sys.executable, "hog.py"],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    took = time.monotonic() - began
    facts = json.loads(report.read_text()) if report.exists() else {}
    return run.returncode, facts, run.stderr, took


def faults(case: Case, code: int, facts: dict[str, Any]) -> list[str]:
    """What is wrong with a report; empty if it names file, line, function and arguments, and the exit is 137."""
    if code != 137:
        return [f"exit status {code}"]
    if not facts:
        return ["no report"]
    found = [] if facts["stopped_by"] == "budget" else [f"stopped by {facts['stopped_by']}"]
    if not any(_is_named(case, frame) for stack in facts["stacks"] for frame in stack["frames"]):
        seen = [(f["file"], f["line"], f["function"], f["arguments"]) for s in facts["stacks"] for f in s["frames"][:3]]
        found.append(f"the line is not named; seen {seen}, unread {facts['unread_stacks']}")
    if facts["peak_unreclaimable"] < 0.95 * BUDGET:
        found.append(f"peak {facts['peak_unreclaimable'] / MIB:.0f} MiB")
    if len(facts["processes"]) != case.processes:
        found.append(f"{len(facts['processes'])} processes")
    return found


def _is_named(case: Case, frame: dict[str, Any]) -> bool:
    arguments = frame["arguments"]
    return (
        Path(frame["file"]).name == "hog.py"
        and frame["line"] == case.line
        and frame["function"].rpartition(".")[2] == case.function
        and all(arguments.get(name) in values for name, values in case.arguments.items())
    )


class Bystander:
    """Lives beside the job, allocates, and tells which signals it got."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BYSTANDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_stopped(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"

    def end(self) -> list[int]:
        """The signals that it got; [SIGKILL] if it is dead."""
        if self._process.poll() is not None:
            return [signal.SIGKILL]
        answer, _ = self._process.communicate("\n", timeout=60)
        got = json.loads(answer)
        assert isinstance(got, list)
        return got


HOME = [Path("/sys/fs/cgroup")]  # where the runs of these tests make their cgroups; see tests/live/conftest.py


def leftovers() -> list[str]:
    """Cgroups of runs that nobody is in charge of any more."""
    # os.walk: unlike rglob, it is not upset by a cgroup that goes away meanwhile.
    found = [
        Path(top, name)
        for home in HOME
        for top, names, _ in os.walk(home)
        for name in names
        if name.startswith("oomguard-")
    ]
    return [str(path) for path in found if not Path("/proc", path.name.split("-")[1]).exists()]


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
