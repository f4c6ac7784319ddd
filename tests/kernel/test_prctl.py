"""The small requests to Linux, each by its effect."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from oomguard.kernel.prctl import set_oom_score_adj


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline, f"{pid} outlived its parent"
        time.sleep(0.01)


def test_child_ends_with_its_killed_parent() -> None:
    result = run("""
import os, signal, time
from oomguard.kernel.prctl import die_with_parent
parent, (read, write) = os.getpid(), os.pipe()
if os.fork() == 0:
    die_with_parent(parent)
    os.write(write, b".")
    time.sleep(60)
os.read(read, 1)
print(next(open(f"/proc/self/task/{os.getpid()}/children")), flush=True)
os.kill(parent, signal.SIGKILL)
""")
    assert result.returncode == -signal.SIGKILL
    wait_until_gone(int(result.stdout))


def test_parent_that_was_gone_before_is_noticed() -> None:
    result = run("""
from oomguard.kernel.prctl import die_with_parent
die_with_parent(999999999)
print("still here")
""")
    assert (result.returncode, result.stdout) == (-signal.SIGKILL, "")


def test_own_parent_is_left_alone() -> None:
    result = run("from oomguard.kernel.prctl import die_with_parent\ndie_with_parent()\nprint('still here')")
    assert (result.returncode, result.stdout) == (0, "still here\n")


def test_oom_score_adj_is_raised_and_a_refusal_is_no_error() -> None:
    result = run("""
from oomguard.kernel.prctl import set_oom_score_adj
print(set_oom_score_adj(500), open("/proc/self/oom_score_adj").read().strip(), set_oom_score_adj(5000))
""")
    assert result.stdout == "True 500 False\n"
    assert set_oom_score_adj(5000) is False
