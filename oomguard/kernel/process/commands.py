"""Start commands: the user's as if it had been started directly, our own modules in a fresh interpreter."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType


# Run a command as if it had been started directly, and wait for it: what must follow its end then follows.

_KILLED_BY = 128


def check_can_start(command: str) -> None:
    """See that a command can be started, before anything is made for it.

    Raises: CannotStart, whose exit status is 126 or 127, as a shell has it.
    """
    if shutil.which(command) is None:
        raise CannotStart(command, errno.EACCES if Path(command).exists() else errno.ENOENT)


def wait_for_command(
    command: Sequence[str], *, inherited: Sequence[int] = (), stop_asked: Callable[[], str | None] = lambda: None
) -> int:
    """Run the command with our terminal, and give its exit code; 128 + N when signal N ended it.

    It keeps the descriptors `inherited` open. Ctrl-C reaches it from the terminal itself; SIGTERM and SIGHUP to us
    are passed on. Where `stop_asked` names a signal that came before, it is not started. For the main thread.
    Raises: CannotStart if it is no program after all.
    """
    with _signals_kept() as passing:
        if asked := stop_asked():
            return _KILLED_BY + signal.Signals[asked]
        try:
            process = subprocess.Popen(list(command), pass_fds=tuple(inherited))
        except OSError as error:
            raise CannotStart(command[0], error.errno or errno.ENOEXEC) from error
        passing.to(process)
        code = process.wait()
    return _KILLED_BY - code if code < 0 else code


class _Passing:
    """Signals on their way to a command; those that come before it is there wait for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []

    def take(self, number: int, _: FrameType | None) -> None:
        if self._process is None:
            self._waiting.append(number)
        else:
            self._process.send_signal(number)

    def to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        for number in self._waiting:
            process.send_signal(number)


@contextmanager
def _signals_kept() -> Iterator[_Passing]:
    passing = _Passing()

    def leave_to_it(_number: int, _: FrameType | None) -> None:
        """The terminal sends it to the command, too."""

    handlers = {
        signal.SIGTERM: passing.take, signal.SIGHUP: passing.take,
        signal.SIGINT: leave_to_it, signal.SIGQUIT: leave_to_it,
    }  # fmt: skip
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield passing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -P and an appended path: a file named json.py in the folder where the user works is never imported.
# What is imported stays, so that no garbage is sought in it: a tenth of the start.
_START = "import gc, sys; sys.path.append({path!r}); gc.disable(); from {module} import main; gc.enable(); main()"


def own_command(module: str, *arguments: str) -> list[str]:
    """The command that calls main() of one of our modules in a fresh interpreter."""
    code = _START.format(path=str(Path(__file__).parents[3]), module=module)
    return [sys.executable, "-P", "-c", code, *arguments]
