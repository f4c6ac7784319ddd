"""A real interactive shell on a terminal of its own, with the hook in it and counters that the test can turn."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from oomguard.diagnosis.hook import Shell, hook_script

if TYPE_CHECKING:
    import resource
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")
_PROMPT = "@#"
_CONTROL = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-B]|[=>])|[\r\x07\x08]")
# fish 3.6 draws its prompt anew with the answer to a question that it asks of the terminal, and waits for it.
_RC = {
    "bash": f"PS1='{_PROMPT}'\n",
    "zsh": f"PROMPT='{_PROMPT}'\nunsetopt zle prompt_sp prompt_cr\n",
    "fish": f"function fish_prompt; echo -n '{_PROMPT}'; end\nfunction fish_greeting; end\nset -g fish_autosuggestion_enabled 0\n",
}
_RC_FILE = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}


def require(shell: str) -> str:
    """The shell's path; skips where it is not installed."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    return found


def home_of(folder: Path, shell: Shell, *, before: str = "", after: str = "", hook: str | None = None) -> Path:
    """A home whose rc file sets a prompt, does `before`, reads the hook, and does `after`."""
    home = folder / f"home-{shell}"
    rc = home / _RC_FILE[shell]
    rc.parent.mkdir(parents=True, exist_ok=True)
    rc.write_text(f"{_RC[shell]}{before}\n{hook_script(shell) if hook is None else hook}\n{after}\n")
    for data in (".data", ".local/share"):  # else fish reads all man pages in the background, for 17 s of CPU time
        (home / data / "fish/generated_completions").mkdir(parents=True, exist_ok=True)
    return home


class Counters:
    """What the kernel would count: the machine's kills, and those of the shell's own cgroup."""

    def __init__(self, folder: Path) -> None:
        self.machine, self.own = folder / "vmstat", folder / "memory.events"
        self.cgroup = folder / "cgroup"
        self.turn(machine=7, own=2)

    def turn(self, *, machine: int, own: int) -> None:
        self.machine.write_text(f"nr_free_pages 1\noom_kill {machine}\nnr_unstable 0\n")
        self.own.write_text(f"low 0\nhigh 0\nmax 3\noom 1\noom_kill {own}\noom_group_kill 0\n")
        self.cgroup.write_text("0::/mine\n")

    def hook(self, shell: Shell) -> str:
        """The hook, with these files in the place of the kernel's."""
        text = hook_script(shell)
        for kernels, ours in (
            ("/proc/vmstat", str(self.machine)),
            ("/proc/self/cgroup", str(self.cgroup)),
            ("/sys/fs/cgroup$where/memory.events", str(self.own)),
            ('/sys/fs/cgroup"$path"/memory.events', str(self.own)),
        ):
            text = text.replace(kernels, ours)
        assert "/proc/" not in "".join(line for line in text.splitlines() if not line.startswith("#"))
        return text

    def command(self, *, machine: int, own: int) -> str:
        """A command line that turns the counters while it runs."""
        return f"sed -i 's/oom_kill .*/oom_kill {machine}/' {self.machine}; sed -i 's/oom_kill .*/oom_kill {own}/' {self.own}"


class Terminal:
    """One interactive shell. enter() gives what a command line printed before the next prompt."""

    def __init__(self, fd: int, pid: int, *, quiet: float) -> None:
        self._fd, self.pid, self._quiet, self._seen = fd, pid, quiet, ""
        self._until_prompt()

    def enter(self, line: str) -> str:
        os.write(self._fd, line.encode() + b"\n")
        shown = self._until_prompt()
        return (
            shown.partition("\n")[2]
            if line and line.split("\n", maxsplit=1)[0][:20] in shown.partition("\n")[0]
            else shown
        )

    def close(self) -> None:
        os.write(self._fd, b"exit\n")

    def _until_prompt(self) -> str:
        deadline = time.monotonic() + 30
        while _PROMPT not in self._plain():
            if not select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"no prompt; on the screen: {self._seen!r}")
            try:
                self._seen += os.read(self._fd, 1 << 16).decode(errors="replace")
            except OSError:
                raise AssertionError(f"the shell ended; on the screen: {self._seen!r}") from None
        # A shell may draw its prompt more than once, fish before it begins a command too: the last one is meant.
        while select.select([self._fd], [], [], self._quiet)[0] or os.tcgetpgrp(self._fd) != self.pid:
            self._seen += os.read(self._fd, 1 << 16).decode(errors="replace")
        shown, self._seen = self._plain(), ""
        return shown.replace(_PROMPT, "")

    def _plain(self) -> str:
        return _CONTROL.sub("", self._seen)


@contextmanager
def terminal(shell: Shell, home: Path, *, in_child: Callable[[], None] | None = None) -> Iterator[Terminal]:
    """Start the shell on a terminal of 400 columns; it has ended afterwards."""
    path = require(shell)
    pid, fd = pty.fork()
    if pid == 0:
        try:
            if in_child is not None:
                in_child()
            environment = {
                "HOME": str(home), "PATH": os.environ["PATH"], "TERM": "dumb", "COLUMNS": "400", "LANG": "C.UTF-8",
                "XDG_CONFIG_HOME": str(home / ".config"), "XDG_DATA_HOME": str(home / ".data"),
            }  # fmt: skip
            os.execve(path, [shell, "-i"], environment)
        finally:
            os._exit(127)
    try:
        yield Terminal(fd, pid, quiet=0.4 if shell == "fish" else 0.05)
    finally:
        os.kill(pid, signal.SIGHUP)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)


def cpu_seconds(shell: Shell, home: Path, lines: int) -> float:
    """CPU time of an interactive shell that reads `lines` empty commands, and of its children."""
    path = require(shell)
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(
            path,
            [shell, "-i"],
            {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "dumb", "XDG_CONFIG_HOME": str(home / ".config")},
        )
    text = b":\n" * lines + b"exit\n"
    try:
        while True:
            ready, writable, _ = select.select([fd], [fd] if text else [], [], 60)
            if writable:
                text = text[os.write(fd, text[:512]) :]
            if ready:
                os.read(fd, 1 << 16)
    except OSError:
        pass  # the shell has ended
    used: resource.struct_rusage = os.wait4(pid, 0)[2]
    os.close(fd)
    return used.ru_utime + used.ru_stime
