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


@pytest.mark.parametrize("name", ["finished", "job", "0000000.part", "0000000.laid"])
def test_a_pipe_among_the_parts_of_a_job_is_not_waited_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.txt").write_text("some words in a text\n")
    planned = run_oomguard("prepare", "text.txt", "--out", "out", "--job-only", "--job-file", "job.json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    pipe = tmp_path / "out/.oomguard/parts" / name
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    for command in ("work", "finish"):
        done = run_oomguard(command, "job.json", cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) in ((0, False), (1, False)), done.stderr


@pytest.mark.parametrize(
    ("format_", "name"),
    [
        ("nanogpt", "train.bin"),
        ("megatron", "train_text_document.idx"),
        ("olmo", "tokens_train_000000.npy"),
        ("arrow", "train/data-00000.arrow"),
        ("npy", "*.npy"),
        ("llmc", "*.bin"),
        ("mds", "train/*.mds"),
        ("litdata", "train/chunk*.bin"),
    ],
)
def test_a_pipe_in_the_place_of_a_shard_is_not_waited_for(tmp_path: Path, format_: str, name: str) -> None:
    (tmp_path / "text.txt").write_text("some words in a text\n")
    made = run_oomguard("prepare", "text.txt", "--out", "out", "--format", format_, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    shard = next((tmp_path / "out").glob(name))
    shard.unlink()
    os.mkfifo(shard)
    for command in (["inspect", "out"], ["convert", "out", "--format", "npy", "--out", "converted"]):
        done = run_oomguard(*command, cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), (command, done.stdout, done.stderr)
