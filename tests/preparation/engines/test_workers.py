"""Encoders that fail: said with the place in the text, or done again, and what was done is kept."""

import json
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from oomguard.preparation.engines.messages import Channel, EncodeTask
from oomguard.preparation.engines.pipeline import Pipeline
from tests import running
from tests.preparation.disturbing import bytes_written
from tests.preparation.expecting import last_checkpoint, read_tokens, tokens_of
from tests.running import children_of, run_oomguard, started, wait_until

Run = Callable[..., subprocess.CompletedProcess[str]]

# A module that is found before the real gigatoken, and puts a wrapper around its tokenizer.
SHADOW = """
import importlib, os, sys
here = os.path.dirname(__file__)
sys.path.remove(here)
del sys.modules["gigatoken"]
real = importlib.import_module("gigatoken")

class Tokenizer:
    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def from_tiktoken(cls, *arguments, **options):
        return cls(inner.from_tiktoken(*arguments, **options))

    def encode(self, text):
        tokens = self.inner.encode(text)
        {harm}
        return tokens

inner, real.Tokenizer = real.Tokenizer, Tokenizer
"""
TEXT = "".join(f"{number} bottles of beer on the wall\n" for number in range(20_000))


def harm(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Let the encoders of later runs do harm."""
    shadow = folder / "shadow"
    shadow.mkdir()
    (shadow / "gigatoken.py").write_text(SHADOW.format(harm=code))
    monkeypatch.setattr(running, "_ROOT", f"{shadow}:{running._ROOT}")


def test_a_text_on_which_every_encoder_dies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not tried for ever; what came before is kept, and a sound encoder goes on from there."""
    harm(monkeypatch, tmp_path, 'if b"POISON" in text: os._exit(3)')
    (tmp_path / "text.txt").write_text(f"{TEXT}POISON{TEXT}")
    with started("prepare", "text.txt", "--val-fraction", "0", cwd=tmp_path, piece_bytes=1 << 15) as run:
        _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "the encoder ended 3 times (exit status 3)" in said
    byte = int(said.partition("text.txt: byte ")[2].split()[0])
    assert len(TEXT) - (1 << 16) < byte <= len(TEXT)
    assert last_checkpoint(tmp_path / "tokens")["totals"]["input_bytes"] == byte
    monkeypatch.undo()
    done = run_oomguard("prepare", "text.txt", "--val-fraction", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([f"{TEXT}POISON{TEXT}"])


def test_an_encoder_that_dies_now_and_then_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each dies after a few stretches, and its pieces are done by the next."""
    harm(monkeypatch, tmp_path, "self.calls = getattr(self, 'calls', 0) + 1\n        if self.calls > 4: os._exit(4)")
    (tmp_path / "text.txt").write_text(TEXT)
    options = ("prepare", "text.txt", "--val-fraction", "0", "--workers", "2", "--json")
    with started(*options, cwd=tmp_path, piece_bytes=1 << 15) as run:
        shown, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([TEXT])
    assert json.loads(shown)["restarted_workers"] >= 1


@pytest.mark.parametrize("verify", ["sample", "full"])
def test_an_encoder_that_gives_wrong_ids_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: str
) -> None:
    """tiktoken's word against it ends the run, and no shard gets its name."""
    harm(monkeypatch, tmp_path, "tokens[len(tokens) // 2] ^= 1")
    (tmp_path / "text.txt").write_text(TEXT)
    refused = run_oomguard("prepare", "text.txt", "--val-fraction", "0", "--verify", verify, cwd=tmp_path)
    assert refused.returncode == 1
    assert "gigatoken and tiktoken do not agree" in refused.stderr
    assert "text.txt: byte " in refused.stderr
    assert not (tmp_path / "tokens" / "train.bin").exists()


def test_an_encoder_that_cannot_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own message above."""
    harm(monkeypatch, tmp_path, "")
    (tmp_path / "shadow" / "gigatoken.py").write_text("raise RuntimeError('broken installation')")
    (tmp_path / "text.txt").write_text(TEXT)
    refused = run_oomguard("prepare", "text.txt", cwd=tmp_path)
    assert refused.returncode == 1
    assert "broken installation" in refused.stderr
    assert "error: " in refused.stderr
    assert "exit status 1" in refused.stderr


def test_a_module_in_the_users_folder_is_never_imported(oomguard: Run, tmp_path: Path) -> None:
    """Somebody's json.py or numpy.py beside the corpus."""
    for name in ("json", "numpy", "socket", "gigatoken", "random"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    (tmp_path / "text.txt").write_text("hello")
    entry = "from oomguard.cli.app import main; main()"
    run = subprocess.run(
        [sys.executable, "-P", "-c", entry, "prepare", "text.txt", "--val-fraction", "0"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(["hello"])


@pytest.mark.parametrize("verify", ["sample", "full"])
def test_encoders_that_are_exchanged_all_the_time_change_nothing(tmp_path: Path, verify: str) -> None:
    """Each learns next to nothing before another, forked from the nursery, takes its place."""
    (tmp_path / "text.txt").write_text(TEXT)
    options = ("prepare", "text.txt", "--val-fraction", "0", "--workers", "3", "--verify", verify, "--json")
    with started(*options, cwd=tmp_path, piece_bytes=1 << 15, learn=1, growth=1 << 20) as run:
        shown, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([TEXT])
    result = json.loads(shown)
    assert result["restarted_workers"] == 0
    assert result["verified_bytes"] == len(TEXT) if verify == "full" else result["verified_bytes"] > 0


def test_a_nursery_that_is_killed_takes_nothing_with_it(tmp_path: Path) -> None:
    """All encoders end with it, and their pieces are done again by those of a new one."""
    (tmp_path / "text.txt").write_text(TEXT * 8)
    options = ("prepare", "text.txt", "--val-fraction", "0", "--workers", "2", "--verify", "full", "--json")
    with started(*options, cwd=tmp_path, piece_bytes=1 << 15, learn=1) as run:
        wait_until(lambda: bytes_written(tmp_path / "tokens") > 100_000)
        nursery = children_of(run)[0]
        encoders = nursery.children()
        nursery.kill()
        psutil.wait_procs([nursery, *encoders], timeout=10)
        shown, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert encoders
    assert not any(encoder.is_running() for encoder in encoders)
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([TEXT * 8])
    assert json.loads(shown)["restarted_workers"] >= 1


class DeadNursery:
    """Encoders as they are when the nursery has ended and nobody has heard of it: what is forked from it is dead."""

    restarts, last_status, allowed = 0, 3, 2

    def __init__(self) -> None:
        self.forked = 0

    def encoder_for(self, _: object) -> SimpleNamespace:
        self.forked += 1
        assert self.forked == 1, "forked again and again, and never listened"
        ours, theirs = socket.socketpair()
        theirs.close()
        return SimpleNamespace(outstanding={}, channel=Channel(ours), ready=False)

    def bury(self, child: SimpleNamespace) -> tuple[list[object], list[object]]:
        child.channel.connection.close()
        return [], list(child.outstanding.values())


def test_a_nursery_that_has_ended_is_heard_before_more_is_forked_from_it() -> None:
    """It span there for ever, 3 of 38 times when encoders died again and again on a busy machine."""
    pipeline = Pipeline.__new__(Pipeline)
    work = SimpleNamespace(number=0, task=EncodeTask(slot=0, size=1, starts_document=True, ends_document=True))
    pipeline._ready, pipeline._encoders, pipeline._oom_kills = deque([work]), DeadNursery(), lambda: 0  # type: ignore[assignment]  # stands in
    pipeline._dispatch()
    assert list(pipeline._ready) == [work]
