"""Run a profile and read what it says, for programs written on the spot."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.live.guarded import OOMGUARD
from tests.live.run_cases import environment

if TYPE_CHECKING:
    from pathlib import Path

KEEPS_LINES = """import sys
kept = []
with open(sys.argv[1]) as file:
    for line in file:
        kept.append(line)
        sum(range(400))
        if len(kept) == int(sys.argv[2]):
            break
"""


def oomguard(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OOMGUARD, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )


def profile(
    folder: Path, *arguments: str, way: str = "auto"
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = oomguard(folder, "profile", "--json", "-o", "r.jsonl", "--enforce", way, *arguments)
    return done, json.loads(done.stderr.splitlines()[-1])


def python(folder: Path, text: str, *arguments: str) -> list[str]:
    (folder / "job.py").write_text(text)
    return ["--", sys.executable, "job.py", *arguments]


def lines_of_text(folder: Path, count: int) -> Path:
    (folder / "input.txt").write_text("".join(f"{number:<99}\n" for number in range(count)))
    return folder / "input.txt"
