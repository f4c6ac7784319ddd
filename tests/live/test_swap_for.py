"""Swap for one command: there while it runs, gone when it ends, however it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.live.disks import disk
from tests.live.swap_areas import areas, environment, listing, swap
from tests.running import run_oomguard, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("machine_is_as_before")]


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("exit 0", 0)])
def test_swap_for_a_command_goes_when_it_ends(tmp_path: Path, command: str, code: int) -> None:
    with disk(tmp_path / "disk", "ext4", size="100M") as mounted:
        files = listing(mounted)
        path = mounted / "swap"
        script = f"grep -q {path} /proc/swaps && cat > {tmp_path}/heard; {command}"
        run = run_oomguard(
            "swap",
            "--size",
            "16M",
            "--path",
            str(path),
            "--yes",
            "--for",
            "--",
            "sh",
            "-c",
            script,
            cwd=tmp_path,
            stdin="hi",
        )
        assert run.returncode == code, run.stderr
        assert (tmp_path / "heard").read_text() == "hi"
        assert run.stdout == ""
        assert listing(mounted) == files


def test_swap_for_a_command_when_either_is_killed(tmp_path: Path) -> None:
    """SIGTERM reaches the command. After SIGKILL of oomguard the command keeps its swap; then the next call cleans."""
    with disk(tmp_path / "disk", "ext4", size="100M") as mounted:
        files = listing(mounted)
        line = ["swap", "--size", "16M", "--path", str(mounted / "swap"), "--yes", "--for", "--"]
        start = [sys.executable, "-m", "oomguard", *line, "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"]
        for number in (signal.SIGTERM, signal.SIGKILL):
            (tmp_path / "pid").unlink(missing_ok=True)
            run = subprocess.Popen(start, env=environment(), stderr=subprocess.DEVNULL)
            wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
            pid = int((tmp_path / "pid").read_text())
            run.send_signal(number)
            code = run.wait(30)
            if number == signal.SIGTERM:
                assert code == 128 + signal.SIGTERM
                assert listing(mounted) == files
        state = swap(tmp_path, "status")["areas"][0]
        assert state["state"] == "command"
        assert "uses" in str(swap(tmp_path, "remove", str(mounted / "swap"), "--yes", code=1)["said"])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: swap(tmp_path, "status")["areas"][0]["state"] == "left over")
        made = swap(tmp_path, "--size", "16M", "--path", str(mounted / "other"), "--yes")
        assert list(areas()) == [made["path"]]
        swap(tmp_path, "remove", "--yes")
        assert listing(mounted) == files


def test_what_cannot_start_makes_no_swap(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    for command, code in (("no-such-command", 127), (str(tmp_path / "text"), 126)):
        run = run_oomguard(
            "swap", "--size", "16M", "--path", str(tmp_path), "--yes", "--for", "--", command, cwd=tmp_path
        )
        assert run.returncode == code, run.stderr
        assert "error: cannot run" in " ".join(run.stderr.split())
    run = run_oomguard("swap", "--size", "16M", "--path", "/dev/shm/x", "--yes", "--for", "--", "true", cwd=tmp_path)
    assert run.returncode == 125
    assert "tmpfs" in run.stderr
