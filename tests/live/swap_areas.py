"""What the tests of real swap share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import oomguard
from tests.running import run_oomguard

MIB = 1 << 20
RECORDS = Path("/var/lib/oomguard/swap")
# In a cgroup of 32 MiB: 64 MiB that cannot be compressed away, told to `ready`, read back when `go` is there.
USER = """
import os, sys, time, zlib
from pathlib import Path
from oomguard.supervision.own_budget import enter_cgroup
folder = Path(sys.argv[1])
with enter_cgroup(32 << 20, allow_swap=True):
    blocks = [os.urandom(1 << 20) for _ in range(64)]
    sums = [zlib.crc32(block) for block in blocks]
    (folder / "ready").write_text(str(os.getpid()))
    while not (folder / "go").exists():
        time.sleep(0.01)
    assert sums == [zlib.crc32(blocks.pop(0)) for _ in sums]  # given up one by one, so that none is swapped out again
"""


def listing(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def areas() -> dict[str, int]:
    """The areas that are on, and how much of each is used."""
    lines = [line.split() for line in Path("/proc/swaps").read_text().splitlines()[1:]]
    return {fields[0]: int(fields[3]) << 10 for fields in lines}


def swap(cwd: Path, *arguments: str, code: int = 0) -> dict[str, object]:
    run = run_oomguard("swap", *arguments, "--json", cwd=cwd)
    assert run.returncode == code, run.stderr
    return json.loads(run.stdout) if run.stdout else {"said": run.stderr}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(oomguard.__file__).parents[1])}


def python(program: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )  # type: ignore[call-overload]
