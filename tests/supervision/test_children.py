"""budget(): whatever becomes of its watcher, no child stays stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import oomguard
from oomguard.errors import WorkerFailed
from oomguard.kernel.proc import ProcessTree, ProcFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

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
        if b"oomguard.supervision.children_watcher" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError("there is no watcher")


def test_the_watcher_is_killed_while_the_children_stand_still() -> None:
    """They continue at once, in the block: what waits for them would wait for ever."""

    def kill_it(child: int, watcher: int) -> None:
        while state(child) not in ("T", "gone"):
            time.sleep(0.0005)
        os.kill(watcher, signal.SIGKILL)

    with (
        pytest.raises(WorkerFailed, match="nothing held them to their budget"),
        oomguard.budget("60M", grace_seconds=30),
    ):
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


def test_what_is_forked_in_the_block_neither_keeps_it_nor_ends_it() -> None:
    """A pool that is still there at the end, and a copy of this process that leaves the block itself."""
    code = (
        "import os, time, oomguard\n"
        "with oomguard.budget('300M') as held:\n"
        "    stays = os.fork()\n"
        "    if stays == 0:\n"
        "        time.sleep(60)\n"
        "    leaves = os.fork()\n"
        "    if leaves == 0:\n"
        "        raise SystemExit(3)\n"
        "    status = os.waitstatus_to_exitcode(os.waitpid(leaves, 0)[1])\n"
        "print(status, held.outcome.exit_code)\n"
        "os.kill(stays, 9)\n"
    )
    # From 3.12 on Python warns of a fork beside any other thread, and the block's watcher is one.
    python = [sys.executable, "-W", "ignore:This process:DeprecationWarning"]
    done = subprocess.run([*python, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("3 0\n", "")


def _exits(block: Generator[subprocess.Popen[bytes], None, None]) -> None:
    with pytest.raises(SystemExit):
        next(block)


def _closed(block: Generator[subprocess.Popen[bytes], None, None]) -> None:
    block.close()


@pytest.mark.parametrize("end", [_exits, _closed])
def test_however_the_block_ends_the_children_go_on_and_the_watcher_ends(
    end: Callable[[Generator[subprocess.Popen[bytes], None, None]], None],
) -> None:
    def in_a_block() -> Generator[subprocess.Popen[bytes], None, None]:
        with oomguard.budget("300M"):
            yield subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            raise SystemExit(5)

    block = in_a_block()
    with next(block) as child:
        watcher = watcher_pid()
        try:
            end(block)
            assert state(child.pid) in "SR"
            assert state(watcher) == "gone"
        finally:
            child.kill()


def test_without_proc_the_block_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its watcher would see nothing, and hold nobody."""
    refusal = FileNotFoundError(2, "No such file or directory", "/proc/self/stat")
    monkeypatch.setattr(ProcFiles, "refusal", lambda _: refusal)
    with pytest.raises(WorkerFailed, match="/proc/self/stat") as error, oomguard.budget("60M"):
        raise AssertionError
    assert error.value.do == "mount -t proc proc /proc"
