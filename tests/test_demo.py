"""`make demo` as a visitor sees it, on a small text."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tools.readme import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.pairs]
SENTENCE = "It was the best of times, it was the worst of times, it was the age of wisdom.\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that the demo uses; what it makes stays here."""
    for name in ("examples", "tools", "oomguard", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("record"))
    for number in ("one", "two"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "train.txt").write_text("".join(f"{number} {i} {SENTENCE}" for i in range(150_000)))
    return tmp_path


def demo(checkout: Path, text: str) -> str:
    # Not resolved: a virtual environment's python is a link, and beside the link is the command.
    command = ["sh", "tools/demo.sh", sys.executable, "128M", "1MB", text]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_the_story_is_told_and_told_again(checkout: Path) -> None:
    first = demo(checkout, "one/train.txt")
    assert re.search(r"^stopped  .*naive\.py", first, re.MULTILINE)
    assert "line 20  tokens.extend(" in first
    assert re.search(r"^done  ", first, re.MULTILINE)
    assert first.count("\n$ ") == 3
    assert "already done" in demo(checkout, "one/train.txt")
    # Another input of the same name has its own folder.
    assert "already done" not in demo(checkout, "two/train.txt")
    assert len(list((checkout / "demo").glob("tokens-train.txt-*"))) == 2
