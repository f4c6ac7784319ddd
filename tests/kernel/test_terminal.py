"""The terminal, with a real pseudo-terminal: keys come singly, and it is left as it was, even when it is gone."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
import time

PROGRAM = """
import os, sys
from oomguard.kernel.terminal import Terminal
terminal = Terminal()
assert terminal.is_ours()
with terminal.keys() as keys:
    print("ready", flush=True)
    import select
    while not (key := keys.read()):
        select.select([keys.wake_on()[0][0]], [], [], 10)
    print("key", key, flush=True)
    {then}
terminal.restore()
print("left", flush=True)
"""


def start(then: str = "pass") -> tuple[int, int]:
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM.format(then=then)])
    return pid, fd


def read_until(fd: int, words: str) -> str:
    said, until = "", time.monotonic() + 30
    while words not in said:
        assert time.monotonic() < until, said
        if select.select([fd], [], [], 0.1)[0]:
            said += os.read(fd, 4096).decode()
    return said


def is_canonical(fd: int) -> bool:
    return bool(termios.tcgetattr(fd)[3] & termios.ICANON)


def test_a_key_needs_no_line_and_the_terminal_is_as_it_was() -> None:
    pid, fd = start()
    read_until(fd, "ready")
    assert not is_canonical(fd)
    os.write(fd, b"R")
    said = read_until(fd, "left")
    assert "key r" in said
    assert is_canonical(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(fd)


def test_a_terminal_that_has_gone_is_no_error() -> None:
    """Its window was closed: nothing that is asked of it raises."""
    ours, theirs = os.pipe()
    os.set_inheritable(theirs, True)  # noqa: FBT003 - for the program
    then = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); print('now', flush=True); "
        "gone = select.poll(); gone.register(0, 0); assert gone.poll(30000); "
        f"sys.stdout = open(os.devnull, 'w'); keys.read(); os.write({theirs}, b'alive')"
    )
    pid, fd = start(then)
    os.close(theirs)
    read_until(fd, "ready")
    os.write(fd, b"s")
    read_until(fd, "now\r\n")  # all of the line: its last byte cannot be written to a terminal that has gone
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert os.read(ours, 16) == b"alive"
    os.close(ours)


def test_without_a_terminal_no_key_comes() -> None:
    program = "from oomguard.kernel.terminal import Terminal; t = Terminal()\nwith t.keys() as k: assert k.read() == '' and k.wake_on() == []\nassert not t.is_ours(); t.restore()"
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.execv(sys.executable, [sys.executable, "-c", program])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
