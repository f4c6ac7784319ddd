"""Programs that stand still at a known line, for tests that look at them from outside."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROW = """
import sys, time

def load(path, rows):
    text = open(path, "rb")
    text.read(3_000_000)
    held = []
    for i in range(rows):
        held.append(bytearray(b"x") * (1 << 20))
    print("full", flush=True)
    wait(text)
    return held

def wait(text):
    sys.stdin.read()

load(sys.argv[1], 40)
"""
LINE = 9  # of held.append() above, with the empty first line counted


@contextmanager
def grown(folder: Path, *command: str, program: str = GROW) -> Iterator[subprocess.Popen[str]]:
    """A process that holds 40 MiB and has read 3,000,000 bytes of train.txt, in load(), in wait()."""
    (folder / "grow.py").write_text(program)
    with (folder / "train.txt").open("wb") as text:
        text.truncate(8_000_000)
    process = subprocess.Popen(
        [*command, sys.executable, "grow.py", "train.txt"],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "full\n"
            yield process
        finally:
            process.kill()
