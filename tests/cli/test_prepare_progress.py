"""`prepare --progress json`: lines for programs, on standard error and nothing else there."""

import json
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.running import started

Run = Callable[..., subprocess.CompletedProcess[str]]
KEYS = {"schema", "seconds", "bytes_read", "bytes_to_read", "text_bytes", "documents", "tokens", "workers", "memory",
        "peak_memory", "restarted_workers", "shuffled_tokens"}  # fmt: skip


def test_each_line_is_one_object_and_the_last_says_all(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("some words and numbers 12345\n" * 50_000)
    run = oomguard("prepare", "text.txt", "--progress", "json", "--json", "--val-fraction", "0")
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert {line["schema"] for line in lines} == {"oomguard.prepare_progress/1"}
    assert all(line.keys() == KEYS for line in lines)
    made = json.loads(run.stdout)
    assert lines[-1]["tokens"] == made["tokens"]
    assert lines[-1]["bytes_read"] == lines[-1]["bytes_to_read"] == (tmp_path / "text.txt").stat().st_size


@pytest.mark.slow
def test_a_line_comes_about_every_second(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("some words and numbers 12345\n" * 500_000)
    command = ("prepare", "text.txt", "--progress", "json", "--verify", "full", "--workers", "1", "--val-fraction", "0")
    with started(*command, cwd=tmp_path, piece_bytes=1 << 16) as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    seconds = [json.loads(line)["seconds"] for line in said.splitlines()]
    gaps = [after - before for before, after in pairwise(seconds[:-1])]
    assert len(seconds) >= 2
    assert all(0.9 < gap < 3 for gap in gaps)
