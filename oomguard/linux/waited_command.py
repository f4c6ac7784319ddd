"""Run a command as if it had been started directly, and wait for it: what must follow its end then follows."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

NOT_EXECUTABLE, NOT_FOUND = 126, 127
_KILLED_BY = 128


def cannot_start(command: Sequence[str]) -> int | None:
    """126 or 127, as a shell says it, where the command cannot be started; None where it can."""
    if shutil.which(command[0]) is not None:
        return None
    return NOT_EXECUTABLE if Path(command[0]).exists() else NOT_FOUND


def wait_for_command(command: Sequence[str], *, inherited: Sequence[int] = ()) -> int:
    """Run the command with our terminal, and give its exit code; 128 + N when signal N ended it.

    126 where it is no program after all. It keeps the descriptors `inherited` open. Ctrl-C reaches it from the
    terminal itself; SIGTERM and SIGHUP to us are passed on. For the main thread.
    """
    try:
        process = subprocess.Popen(list(command), pass_fds=tuple(inherited))
    except OSError:
        return NOT_EXECUTABLE
    with _signals_to(process):
        code = process.wait()
    return _KILLED_BY - code if code < 0 else code


@contextmanager
def _signals_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    def pass_on(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    def leave_to_it(_number: int, _: FrameType | None) -> None:
        """The terminal sent it to the command, too."""

    handlers = {
        signal.SIGTERM: pass_on, signal.SIGHUP: pass_on, signal.SIGINT: leave_to_it, signal.SIGQUIT: leave_to_it
    }  # fmt: skip
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
