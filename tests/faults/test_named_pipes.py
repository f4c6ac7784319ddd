"""Wherever a command takes a name, a pipe may stand there to which nobody writes: it is refused, and not waited for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.running import run_oomguard

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
COMMANDS = [
    "diagnose --log PIPE",
    "diagnose --log log --html PIPE",
    "check PIPE.py",
    "check script.py --pin PIPE",
    "check script.py --input PIPE",
    "check script.py --input PIPE.jsonl",
    "prepare PIPE.txt --out out",
    "prepare log --out out --tokenizer PIPE",
    "prepare log --out out --encoding cl100k_base",
    "plan PIPE.jsonl",
    "inspect PIPE",
    "convert PIPE --format npy --out out",
    "work PIPE",
    "finish PIPE",
    "report PIPE",
    "profile --scale-input PIPE -- true",
    "profile -o PIPE -- true",
    "run --max-rss 60M --report PIPE -- true",
    "swap --from PIPE --dry-run",
    "hook --install bash",
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PIPE", "PIPE.py", "PIPE.txt", "PIPE.jsonl", ".bashrc", "cache"):
        (tmp_path / "cache").mkdir() if name == "cache" else os.mkfifo(tmp_path / name)
    # Where tiktoken would look for the ranks: the SHA-1 of their address.
    os.mkfifo(tmp_path / "cache/9b5ad71b2ce5302211f9c61530b329a4922fc6a4")
    (tmp_path / "log").write_text("a line\n")
    (tmp_path / "script.py").write_text("held = []\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_is_refused_and_not_waited_for(place: Path, command: str) -> None:
    done = run_oomguard(*command.split(), cwd=place)
    assert done.returncode in (1, 2, 125), done.stderr
    assert done.stderr.startswith("error: "), done.stderr
    assert "  try: " in done.stderr
    assert not (place / "out" / "train.bin").exists()
