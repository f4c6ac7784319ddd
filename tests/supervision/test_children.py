"""budget(): whatever becomes of its watcher, no child stays stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import oomguard
from oomguard.errors import WorkerFailed
from oomguard.kernel.proc.files import ProcessTree

GROWS = """
import sys, time
held = []
for _ in range(120):
    held.append(bytearray(b"x") * (1 << 20))
    time.sleep(0.005)
print("done", flush=True)
"""


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def watcher_pid() -> int:
    for pid in ProcessTree(os.getpid(), with_root=False).pids():
        if b"oomguard.supervision.children" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError("there is no watcher")


def test_the_watcher_is_killed_while_the_children_stand_still() -> None:
    """They continue at once, in the block: what waits for them would wait for ever."""

    def kill_it(child: int, watcher: int) -> None:
        while state(child) not in ("T", "gone"):
            time.sleep(0.0005)
        os.kill(watcher, signal.SIGKILL)

    with pytest.raises(WorkerFailed, match="nobody held them"), oomguard.budget("60M", grace_seconds=30):
        child = subprocess.Popen([sys.executable, "-c", GROWS], stdout=subprocess.PIPE, text=True)
        thread = threading.Thread(target=kill_it, args=(child.pid, watcher_pid()))
        thread.start()
        said, _ = child.communicate(timeout=60)
        thread.join()
    assert said == "done\n"
    assert child.returncode == 0


def test_ctrl_c_in_the_block_comes_out_of_it_and_nobody_is_left_stopped() -> None:
    def interrupt() -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    child = None
    thread = threading.Thread(target=interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), oomguard.budget("1G"):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            thread.start()
            time.sleep(60)
        thread.join()
        assert child is not None
        assert state(child.pid) in "SR"
    finally:
        if child is not None:
            child.kill()
            child.wait()
