"""Stacks of the Pythons that python_frames does not know, without waiting for any: one helper keeps pystack loaded.

Measured: 3.2 ms a stack with pystack, without local variables; starting the helper 0.1 s. It is replaced when it dies,
as it follows another program's pointers.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from oomguard.stacks.helper import become_helper, send
from oomguard.stacks.pystack import read_python_stacks, read_with_pystack, read_without_copies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.kernel.model import ProcessStack

_ANSWER_SECONDS = 0.5
_START_SECONDS = 10.0
_MOST_STARTS = 5
_MOST_FRAMES = 120
_LONGEST_ANSWER = 1 << 20

Frames = list[tuple[str, int, str]]  # file, line, function; innermost first


class StackSampler:
    """Takes one question at a time. close() it."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._child = 0
        self._ask = self._answer = -1
        self._starts = 0
        self._buffer = b""
        self._is_ready = False
        self._asked: int | None = None  # the pid that the question out is about
        self._until = 0.0
        self.refused = ""  # why the last answer was empty, for people

    def ask(self, pid: int) -> bool:
        """Ask for the stack of `pid`; False while another question is out. Raises: nothing."""
        if self._asked is not None:
            return False
        self._asked = pid
        if not self._child:
            self._start()
        try:
            os.write(self._ask, f"{pid}\n".encode())
        except OSError:
            self._until = 0.0  # there is nobody to answer
        else:
            self._until = time.monotonic() + (_ANSWER_SECONDS if self._is_ready else _START_SECONDS)
        return True

    def answer(self) -> tuple[int, Frames] | None:
        """The pid that was asked for, and the calls it is in, of the thread that holds the interpreter's lock.

        No calls: `refused` says why. None: there is no answer yet. Raises: nothing.
        """
        pid = self._asked
        if pid is None:
            return None
        found = self._take()
        if found is None:
            return None
        self._asked = None
        self.refused = found if isinstance(found, str) else ""
        return pid, [] if isinstance(found, str) else [(str(f), int(line), str(name)) for f, line, name in found]

    def close(self) -> None:
        """End the helper. Raises: nothing."""
        self._asked = None
        if not self._child:
            return
        for fd in (self._ask, self._answer):
            os.close(fd)
        os.kill(self._child, signal.SIGKILL)  # not reaped yet, so the pid is still its own
        os.waitpid(self._child, 0)
        self._child, self._ask, self._answer = 0, -1, -1
        self._buffer, self._is_ready = b"", False

    def _take(self) -> Frames | str | None:
        """The helper's answer, if it is there; why there will be none, when it took too long."""
        while (line := self._line()) is not None:
            if self._is_ready:
                answer: Frames | str = json.loads(line)
                return answer
            self._is_ready, self._until = True, time.monotonic() + _ANSWER_SECONDS
        if time.monotonic() < self._until:
            return None
        self.close()
        return "the reader of stacks crashed, or took too long"

    def _line(self) -> bytes | None:
        while b"\n" not in self._buffer:
            if self._answer < 0 or not _is_readable(self._answer):
                return None
            got = os.read(self._answer, 1 << 16)
            if not got or len(self._buffer) > _LONGEST_ANSWER:
                self._until = 0.0
                return None
            self._buffer += got
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _start(self) -> None:
        if self._starts >= _MOST_STARTS:
            return
        self._starts += 1
        their_ask, self._ask = os.pipe()
        self._answer, their_answer = os.pipe()
        parent = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            _serve(their_ask, their_answer, parent)
        os.close(their_ask)
        os.close(their_answer)


def _is_readable(fd: int) -> bool:
    poll = select.poll()  # unlike select(), for any number
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _serve(asked: int, answer: int, parent: int) -> None:
    """In the forked helper: for each pid that is asked, a line of JSON. Never returns."""
    try:
        become_helper(parent, [asked, answer])
        signal.set_wakeup_fd(-1)  # the profiler's handlers are not for this process
        for number, handler in ((signal.SIGINT, signal.SIG_IGN), (signal.SIGTERM, signal.SIG_DFL)):
            signal.signal(number, handler)
        read_without_copies()
        if find_spec("pystack") is not None:
            import pystack.engine  # noqa: F401 - so that the first question is answered as fast as the others
        send(answer, "ready")
        with open(asked, encoding="ascii", closefd=False) as questions:
            for line in questions:
                send(answer, _frames(int(line)))
    finally:
        os._exit(0)


def _frames(pid: int) -> Frames | str:
    try:
        if find_spec("pystack") is not None:
            stacks: Sequence[ProcessStack] = read_with_pystack(pid, with_locals=False)
        else:
            reading = read_python_stacks([pid], seconds=_ANSWER_SECONDS)
            if pid in reading.unread:
                return reading.unread[pid]
            stacks = reading.stacks
    except Exception as error:  # noqa: BLE001 - whatever it is, the next process may be readable
        return f"pystack: {error}"
    return [(f.file, f.line, f.function) for stack in stacks[:1] for f in stack.frames[:_MOST_FRAMES]]
