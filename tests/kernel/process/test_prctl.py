"""The small requests to Linux, each by its effect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oomguard.kernel.process import prctl as process_control
from oomguard.kernel.process.prctl import punch_hole, set_oom_score_adj, start_writeback


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
from oomguard.kernel.process.prctl import die_with_parent
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
from oomguard.kernel.process.prctl import die_with_parent
die_with_parent(999999999)
print("still here")
""")
    assert (result.returncode, result.stdout) == (-signal.SIGKILL, "")


def test_own_parent_is_left_alone() -> None:
    result = run("from oomguard.kernel.process.prctl import die_with_parent\ndie_with_parent()\nprint('still here')")
    assert (result.returncode, result.stdout) == (0, "still here\n")


def test_oom_score_adj_is_raised_and_a_refusal_is_no_error() -> None:
    result = run("""
from oomguard.kernel.process.prctl import set_oom_score_adj
print(set_oom_score_adj(500), open("/proc/self/oom_score_adj").read().strip(), set_oom_score_adj(5000))
""")
    assert result.stdout == "True 500 False\n"
    assert set_oom_score_adj(5000) is False


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("missing", [None, "symbol", "system call"])
def test_writeback_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: bool, missing: str | None
) -> None:
    """fdatasync() steps in where sync_file_range() is missing. tests/live looks at the dirty pages."""
    if missing == "symbol":
        monkeypatch.setattr(process_control, "_libc", object)
    elif missing == "system call":
        libc = type("Libc", (), {"sync_file_range": staticmethod(lambda *_: -1)})
        monkeypatch.setattr(process_control, "_libc", libc)
        monkeypatch.setattr("ctypes.get_errno", lambda: 38)  # ENOSYS
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with (tmp_path / "file").open("wb", buffering=0) as file:
        file.write(b"x" * 4096 * 64)
        start_writeback(file.fileno(), 0, 4096 * 64, wait=wait)
        assert synced == ([file.fileno()] if missing else [])
    assert (tmp_path / "file").read_bytes() == b"x" * 4096 * 64


def test_writeback_of_what_is_no_file_is_an_error() -> None:
    read, write = os.pipe()
    try:
        with pytest.raises(OSError, match="Illegal seek"):
            start_writeback(write, 0, 1, wait=False)
    finally:
        os.close(read)
        os.close(write)


def test_hole_gives_blocks_back_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w+b", buffering=0) as file:
        file.write(b"x" * (1 << 20))
        os.fsync(file.fileno())
        blocks = path.stat().st_blocks
        if not punch_hole(file.fileno(), 4096, 1 << 19):
            pytest.skip("this file system has no holes; set TMPDIR to one on ext4, xfs, btrfs or tmpfs")
        assert path.stat().st_blocks <= blocks - (1 << 19) // 512
    assert path.read_bytes() == b"x" * 4096 + bytes(1 << 19) + b"x" * ((1 << 20) - 4096 - (1 << 19))


def test_hole_in_what_was_not_opened_for_writing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 8192)
    with (tmp_path / "file").open("rb") as file, pytest.raises(OSError, match="Bad file"):
        punch_hole(file.fileno(), 0, 4096)
