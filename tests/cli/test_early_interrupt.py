"""Ctrl-C while the program still starts: it ends by it, and shows no traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Sends itself the signal when a module is about to be imported.
PROGRAM = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where it is ignored

module = sys.argv.pop(1)

class Interrupting:
    def find_spec(self, name, *_):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from oomguard.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        "oomguard.cli.app",
        "typer",
        "oomguard.cli.prepare",
        "oomguard.preparation.api",
        "oomguard.preparation.options",
        "oomguard.preparation.execution",
        "oomguard.preparation.engines.pipeline",
    ],
)
def test_no_traceback(tmp_path: Path, module: str) -> None:
    """As long as it has no handler of its own the kernel ends it; then it says that it stopped."""
    (tmp_path / "text.txt").write_text("some words " * 1000)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, "prepare", "text.txt"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "tokens" / "train.bin").exists()
