"""Who looks for the reason of a kill may have neither memory nor disk for the packages that `prepare` needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import oomguard

HEAVY = ("numpy", "pyarrow", "tiktoken", "gigatoken", "awkward", "regex")
LOG = Path(__file__).parents[1] / "captures/kernel_log/three-kills-6.1.log"
ROOT = str(Path(oomguard.__file__).parents[1])


pytestmark = pytest.mark.slow  # whole starts


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which no heavy package can be imported, by any process."""
    for name in HEAVY:
        (tmp_path / "blocked").mkdir(exist_ok=True)
        (tmp_path / f"blocked/{name}.py").write_text(f"raise ImportError('{name} is not installed')\n")
    return {**os.environ, "PYTHONPATH": f"{tmp_path}/blocked:{ROOT}"}


def start(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "oomguard", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("diagnose", "--log", str(LOG)), 0),
        (("diagnose", "--log", str(LOG), "--json"), 0),
        (("doctor",), 0),
        (("check", "script.py"), 1),  # a finding
        (("swap", "status"), 0),
        (("hook", "bash"), 0),
        (("run", "--max-rss", "64M", "--", "true"), 0),
        (("profile", "-o", "p.oomguard", "--", "true"), 0),
        (("report", "nowhere"), 1),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, tuple) else "",
)
def test_it_needs_none_of_them(bare: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    (tmp_path / "script.py").write_text("text = open('text.txt').read()\n")
    (tmp_path / "text.txt").write_text("some words\n" * 1000)
    done = start(bare, tmp_path, *arguments)
    assert done.returncode == status, done.stderr
    assert "is not installed" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_test_would_notice(bare: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("some words\n")
    done = start(bare, tmp_path, "prepare", "text.txt")
    assert done.returncode != 0
    assert "is not installed" in done.stderr
