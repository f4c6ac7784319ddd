"""Somebody stops the command, or the process that waits for it: SIGTERM still ends all, and the end is heard of."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.live.guarded import child_of, started, state, wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.pairs]
WAITS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


@pytest.mark.parametrize("way", ["auto", "polling"])
@pytest.mark.parametrize("who", ["reaper", "command"])
def test_a_stopped_one_does_not_keep_sigterm_from_ending_it(tmp_path: Path, way: str, who: str) -> None:
    with started(tmp_path, "--", *WAITS, way=way) as guard:
        assert guard.stdout is not None
        assert guard.stdout.readline() == "up\n"
        reaper = child_of(guard.pid)
        command = child_of(reaper)
        stopped = reaper if who == "reaper" else command
        os.kill(stopped, signal.SIGSTOP)
        wait_for(lambda: state(stopped) != "S")
        guard.terminate()
        assert guard.wait(60) == 128 + signal.SIGTERM
        assert state(command) in (None, "Z")


def test_the_end_of_a_command_is_heard_of_though_the_reaper_was_stopped(tmp_path: Path) -> None:
    with started(tmp_path, "--", "sh", "-c", "echo up; read line; exit 7") as guard:
        assert guard.stdout is not None
        assert guard.stdin is not None
        assert guard.stdout.readline() == "up\n"
        os.kill(child_of(guard.pid), signal.SIGSTOP)
        guard.stdin.write("\n")
        guard.stdin.flush()
        assert guard.wait(60) == 7
