"""A run in a terminal, under a shell with job control: keys reach the job, stopping and going on work, nothing is left raw."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.guarded import OOMGUARD, child_of, state, wait_for
from tests.live.run_cases import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.live, pytest.mark.pairs]

RUN = f"{sys.executable} -m oomguard run --quiet --max-rss 100M"
WAYS = ["cgroup", "watchdog"]


class Shell:
    """bash with job control on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(
                "bash", ["bash", "--norc", "--noprofile", "-i"], {**environment(), "PS1": "ready> ", "TERM": "dumb"}
            )
        self.seen = ""
        self.expect("ready> ")

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, words: str, seconds: float = 20) -> str:
        """Wait for it; gives what came before."""
        deadline = time.monotonic() + seconds
        while (found := re.search(words, self.seen)) is None:
            assert select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0], (
                f"no {words!r} in {self.seen!r}"
            )
            self.seen += os.read(self.fd, 4096).decode()
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


@pytest.mark.parametrize("way", WAYS)
def test_stopped_continued_and_interrupted_as_without_it(shell: Shell, way: str) -> None:
    shell.type(f"{RUN} --enforce {way} -- sh -c 'echo up; exec cat'; echo status $?\n")
    shell.expect("\nup\r\n")
    shell.type("hello\n")
    shell.expect("hello\r\nhello")
    shell.type("\x1a")
    shell.expect("Stopped")
    shell.expect("ready> ")
    shell.type("fg\n")
    shell.expect("exec cat'")
    shell.type("again\n")
    shell.expect("again\r\nagain")
    shell.type("\x03")
    shell.expect("ready> ")
    shell.type("echo now $?\n")
    shell.expect("now 130")


def test_in_a_pipeline_the_reader_has_the_terminal_too(shell: Shell) -> None:
    """The other members of a pipeline are in the job's group, and may read keys, as a pager does."""
    shell.type(f"{RUN} -- echo from the job | (cat; read line < /dev/tty; echo got $line)\n")
    shell.expect("from the job")
    shell.type("a key\n")
    shell.expect("got a key")


def test_an_interactive_shell_inside(shell: Shell) -> None:
    """It makes groups of its own, takes the terminal, and gives it back."""
    shell.type(f"{RUN} -- bash --norc --noprofile -i\n")
    shell.expect("ready> ")
    shell.type("sh -c 'echo up; exec sleep 60'\n")
    shell.expect("\nup\r\n")
    shell.type("\x1a")
    shell.expect("Stopped")
    shell.type("kill -9 %1; while jobs | grep -q Stopped; do sleep 0.05; done; exit 5\n")
    shell.expect("exit 5")
    shell.type("echo inner said $?\n")
    shell.expect("inner said 5")


RAW = """
import sys, termios, tty
tty.setraw(0)
held = []
while True:
    held.append(bytearray(b"x") * (1 << 20))
"""


def test_a_raw_terminal_is_set_back_when_the_job_is_ended(shell: Shell, tmp_path: Path) -> None:
    """A shell without job control, which does not do that itself."""
    (tmp_path / "raw.py").write_text(RAW)
    (tmp_path / "both.sh").write_text(f"{RUN} -- {sys.executable} raw.py; echo status $?; stty -a\n")
    shell.type("sh both.sh\n")
    shell.expect("status 137")
    settings = shell.expect("echoke")
    assert " icanon" in settings
    assert " echo " in settings


@pytest.mark.parametrize(("key", "status", "said"), [("r", 0, "150"), ("s", 137, "stopped")])
def test_keys_of_a_held_job(shell: Shell, tmp_path: Path, key: str, status: int, said: str) -> None:
    (tmp_path / "job.py").write_text(
        "held = [bytearray(b'x') * (1 << 20) for _ in range(140)]\nprint(len(held) + 10)\n"
    )
    shell.type(f"{RUN} --on-limit hold -- {sys.executable} job.py; echo status $?\n")
    shell.expect("key s")
    wait_for(lambda: not termios.tcgetattr(shell.fd)[3] & termios.ICANON)  # it reads single keys
    shell.type(key)
    shell.expect(said)
    shell.expect(f"status {status}")
    shell.type("echo typed\n")
    shell.expect("typed\r\ntyped")  # the echo is on again


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("job", ["sleep 60", "trap 'echo heard > heard; exit 3' HUP; while :; do sleep 0.05; done"])
def test_the_hang_up_of_a_terminal_that_is_all_its_own_reaches_the_job(tmp_path: Path, way: str, job: str) -> None:
    """As in `ssh -t host oomguard run ...`: the kernel tells the leader of the session only, which is the guard."""
    command = [*OOMGUARD, "run", "--max-rss", "100M", "--enforce", way, "--", "sh", "-c", f"echo begun > begun; {job}"]
    guard, terminal = pty.fork()
    if guard == 0:
        os.chdir(tmp_path)
        os.execvpe(command[0], command, environment())
    try:
        wait_for((tmp_path / "begun").exists)
        (job_pid,) = [
            int(pid) for pid in Path(f"/proc/{child_of(guard)}/task/{child_of(guard)}/children").read_text().split()
        ]
        os.close(terminal)
        wait_for(lambda: state(job_pid) in (None, "Z") and state(guard) in (None, "Z"))
    finally:
        os.kill(guard, signal.SIGKILL)
        _, status = os.waitpid(guard, 0)
    told = "trap" in job
    assert (os.waitstatus_to_exitcode(status), (tmp_path / "heard").exists()) == (3 if told else 129, told)


@pytest.mark.parametrize("way", WAYS)
def test_a_held_job_outlives_its_terminal_and_is_released(tmp_path: Path, way: str) -> None:
    """Hours of work do not go with a window that is closed, or an ssh that is cut."""
    hold = ["--on-limit", "hold", "--report", "report.json"]
    job = "import signal, sys\nsignal.signal(signal.SIGHUP, lambda *_: (open('heard', 'w').close(), sys.exit(4)))\n"
    job += "held = [bytearray(b'x') * (1 << 20) for _ in range(150)]\nsys.exit(3)\n"
    command = [*OOMGUARD, "run", "--max-rss", "100M", "--enforce", way, *hold, "--", sys.executable, "-c", job]
    guard, terminal = pty.fork()
    if guard == 0:
        os.chdir(tmp_path)
        os.execvpe(command[0], command, environment())
    try:
        said = b""
        while b"key s" not in said:
            said += os.read(terminal, 4096)
        os.close(terminal)
        before = _cpu_ticks(guard)
        time.sleep(1)
        wait_for(lambda: state(guard) == "S")
        assert _cpu_ticks(guard) - before < 10  # nor does it ask the terminal over and over
        release = subprocess.run(
            [*OOMGUARD, "release", str(guard), "--max-rss", "300M"], check=False, env=environment()
        )
        assert release.returncode == 0
        wait_for(lambda: state(guard) in (None, "Z"))
    finally:
        os.kill(guard, signal.SIGKILL)
        _, status = os.waitpid(guard, 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert json.loads((tmp_path / "report.json").read_text())["stopped_by"] is None
    assert not (tmp_path / "heard").exists()


def _cpu_ticks(pid: int) -> int:
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
