"""Run a command as if it had been started directly, and wait for it: what must follow its end then follows."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

_KILLED_BY = 128


def check_can_start(command: str) -> None:
    """See that a command can be started, before anything is made for it.

    Raises: CannotStart, whose exit status is 126 or 127, as a shell has it.
    """
    if shutil.which(command) is None:
        raise CannotStart(command, errno.EACCES if Path(command).exists() else errno.ENOENT)


def wait_for_command(command: Sequence[str], *, inherited: Sequence[int] = ()) -> int:
    """Run the command with our terminal, and give its exit code; 128 + N when signal N ended it.

    It keeps the descriptors `inherited` open. Ctrl-C reaches it from the terminal itself; SIGTERM and SIGHUP to us
    are passed on. For the main thread.
    Raises: CannotStart if it is no program after all.
    """
    try:
        process = subprocess.Popen(list(command), pass_fds=tuple(inherited))
    except OSError as error:
        raise CannotStart(command[0], error.errno or errno.ENOEXEC) from error
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
