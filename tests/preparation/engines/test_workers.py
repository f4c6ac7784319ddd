"""Encoders that fail: said with the place in the text, or done again, and what was done is kept."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from oomguard.preparation.encoding.encodings import find_encoding
from oomguard.preparation.encoding.load_engine import uses_core
from tests import running
from tests.preparation.disturbing import bytes_written
from tests.preparation.expecting import last_checkpoint, read_tokens, tokens_of
from tests.running import children_of, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs

Run = Callable[..., subprocess.CompletedProcess[str]]

# Python imports it when it starts; in workers it puts a wrapper around what encodes.
SHADOW = """
import os, sys
if any("engines.worker" in part for part in sys.orig_argv):
    from oomguard.preparation.encoding.encodings import find_encoding
    from oomguard.preparation.encoding.load_engine import NativeEngine, TiktokenEngine, uses_core
    encoder = NativeEngine if uses_core(find_encoding("gpt2")) else TiktokenEngine
    real = encoder.encode

    def encode(self, text, **how):
        count, documents = real(self, text, **how)
        tokens = how["tokens"]
        {harm}
        return count, documents

    encoder.encode = encode
"""
TEXT = "".join(f"{number} bottles of beer on the wall\n" for number in range(20_000))


def harm(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Let the encoders of later runs do harm."""
    shadow = folder / "shadow"
    shadow.mkdir()
    (shadow / "sitecustomize.py").write_text(SHADOW.format(harm=code))
    monkeypatch.setattr(running, "_ROOT", f"{shadow}:{running._ROOT}")


def test_a_text_on_which_every_encoder_dies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not tried for ever; what came before is kept, and a sound encoder goes on from there."""
    harm(monkeypatch, tmp_path, 'if b"POISON" in bytes(text): os._exit(3)')
    (tmp_path / "text.txt").write_text(f"{TEXT}POISON{TEXT}")
    with started("prepare", "text.txt", "--val-fraction", "0", cwd=tmp_path, piece_bytes=1 << 15) as run:
        _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "the worker ended 3 times (exit status 3)" in said
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
    if not uses_core(find_encoding("gpt2")):
        pytest.skip("needs the native core: tiktoken is not checked by itself")
    harm(monkeypatch, tmp_path, "tokens[min(5000, count // 2)] ^= 1")
    (tmp_path / "text.txt").write_text(TEXT)
    refused = run_oomguard("prepare", "text.txt", "--val-fraction", "0", "--verify", verify, cwd=tmp_path)
    assert refused.returncode == 1
    assert "the core and tiktoken do not agree" in refused.stderr
    assert "text.txt: byte " in refused.stderr
    assert not (tmp_path / "tokens" / "train.bin").exists()


def test_an_encoder_that_cannot_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own message above."""
    harm(monkeypatch, tmp_path, "")
    (tmp_path / "shadow" / "sitecustomize.py").write_text(
        "import sys\nif any('engines.worker' in part for part in sys.orig_argv):\n    sys.exit('broken installation')"
    )
    (tmp_path / "text.txt").write_text(TEXT)
    refused = run_oomguard("prepare", "text.txt", cwd=tmp_path)
    assert refused.returncode == 1
    assert "broken installation" in refused.stderr
    assert "error: " in refused.stderr
    assert "exit status 1" in refused.stderr


def test_a_module_in_the_users_folder_is_never_imported(oomguard: Run, tmp_path: Path) -> None:
    """Somebody's json.py or numpy.py beside the corpus."""
    for name in ("json", "numpy", "socket", "msgspec", "random"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    (tmp_path / "text.txt").write_text("hello")
    entry = "from oomguard.cli.app import main; main()"
    run = subprocess.run(
        [sys.executable, "-P", "-c", entry, "prepare", "text.txt", "--val-fraction", "0"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(["hello"])


def test_a_worker_that_is_killed_takes_nothing_with_it(tmp_path: Path) -> None:
    """Its chunks are done again by the one that takes its place."""
    (tmp_path / "text.txt").write_text(TEXT * 8)
    options = ("prepare", "text.txt", "--val-fraction", "0", "--workers", "2", "--verify", "full", "--json")
    with started(*options, cwd=tmp_path, piece_bytes=1 << 15) as run:
        wait_until(lambda: bytes_written(tmp_path / "tokens") > 100_000)
        workers = children_of(run)
        workers[0].kill()
        psutil.wait_procs(workers[:1], timeout=10)
        shown, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert len(workers) == 2
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([TEXT * 8])
    assert json.loads(shown)["restarted_workers"] >= 1


def test_without_the_core_tiktoken_does_the_work_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    env = {"OOMGUARD_ENGINE": "tiktoken"}
    done = run_oomguard("prepare", "text.txt", "--val-fraction", "0", "--workers", "2", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert said[0].endswith("; 2 workers with tiktoken, some 30 times slower")
    assert "note: OOMGUARD_ENGINE is tiktoken: tiktoken does the work" in said  # and not: it was not built
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([TEXT])


def test_a_word_that_needs_memory_waits_for_the_others(tmp_path: Path) -> None:
    """The worker says what it needs, and gets it when nothing else is under way."""
    text = f"{TEXT}{'ab' * 200_000} {TEXT}"
    (tmp_path / "text.txt").write_text(text)
    done = run_oomguard("prepare", "text.txt", "--val-fraction", "0", "--workers", "2", "--verify", "off", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([text])
