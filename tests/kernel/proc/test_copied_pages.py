"""What forked children copied: real forks, of which the truth is known."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oomguard.kernel.proc import ProcessTree
from oomguard.kernel.proc.memory import read_copied, read_processes

MIB = 1 << 20
FORKS = """
import mmap, os, sys, time
size = 40 << 20
held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
held.write(b"x" * size)
for number in range(2):
    if not os.fork():
        if sys.argv[1] == "copies":
            for at in range(0, size, 4096):
                held[at] = 1
        elif sys.argv[1] == "own":
            own = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            own.write(b"y" * size)
        os.write(1, b"ready\\n")
        time.sleep(60)
        os._exit(0)
os.write(1, b"ready\\n")
time.sleep(60)
"""


@pytest.mark.parametrize(("what", "least", "most"), [("copies", 78, 90), ("own", 0, 8), ("reads", 0, 8)])
def test_what_was_copied_and_nothing_else(what: str, least: int, most: int) -> None:
    with subprocess.Popen([sys.executable, "-c", FORKS, what], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        for _ in range(3):
            assert parent.stdout.readline() == "ready\n"
        pids = ProcessTree(parent.pid).pids()
        copied = read_copied(read_processes(pids))
        for pid in pids[1:]:
            subprocess.run(["kill", "-9", str(pid)], check=True)
        parent.kill()
    assert least * MIB <= copied <= most * MIB
