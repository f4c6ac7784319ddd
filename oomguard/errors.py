"""Every error oomguard raises on purpose; anything else is a bug and shows its traceback.

OomguardError           what happened, and what to do next
├── BadInput            the data cannot be used as it is: file, position, reason
├── BudgetExceeded      the children of this process were ended at their budget
├── BudgetTooSmall      the job does not fit in the memory it was given
├── CannotStart         the command of a run does not exist, or cannot be executed
├── Changed             what is on disk was made from another input, with other options
├── InUse               another run works in the same folder
├── MissingExtra        an optional part of oomguard is not installed
├── NeedsPrivilege      the kernel answered EPERM or EACCES
├── NotOurs             as root: a file or folder is another user's, and is not written
├── NothingFound        the request is fine, but there is nothing to work on
├── Stopped             the user or a signal ended it; work already done is kept
├── SwapFailed          a step of making or removing swap failed; what went before is undone
├── SwapRefused         swap cannot, or should not, be made or removed there; nothing was changed
├── Unreachable         a server does not deliver an input; work already done is kept
└── WorkerFailed        a helper process ended when it should not have
"""

from __future__ import annotations

import errno
import functools
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")
_DO = {
    errno.EAGAIN: "allow more processes (ulimit -u; pids.max of the cgroup): oomguard needs three of its own",
    errno.EMFILE: "allow more open files: ulimit -n 256",
    errno.ENFILE: "close files: the whole machine has no more descriptors (/proc/sys/fs/file-nr)",
    errno.ENOMEM: "free memory, or check the limits: ulimit -a",
    errno.ENOSPC: "free disk space: df -h",
    errno.EDQUOT: "free space of your quota: quota -s",
    errno.EIO: "see what is wrong with the disk: dmesg | tail",
}


class OomguardError(Exception):
    """Carries `do`, the next step. It is required, so no error can be written without one.

    `exit_status` is what the command line ends with; `run -- COMMAND` has its own, as 1 may be the command's.
    """

    exit_status = 1

    def __init__(self, what: str, *, do: str) -> None:
        super().__init__(what)
        self.do = do


class BadInput(OomguardError):
    """The data cannot be used as it is."""


class BudgetExceeded(OomguardError):
    """The children that were started under a budget were ended at it; `outcome` is the report, a RunOutcome."""

    def __init__(self, what: str, *, do: str, outcome: Any) -> None:
        super().__init__(what, do=do)
        self.outcome = outcome


class BudgetTooSmall(OomguardError):
    """The job does not fit in the memory it was given.

    `alone`, if a single document does not fit: how many bytes must be free for it.
    """

    def __init__(self, what: str, *, do: str, alone: int | None = None) -> None:
        super().__init__(what, do=do)
        self.alone = alone


class CannotStart(OomguardError):
    """The command of a run does not exist, or cannot be executed. The exit status is that of a shell."""

    def __init__(self, command: str, number: int) -> None:
        missing = number in (errno.ENOENT, errno.ENOTDIR)
        word = shlex.quote(command)
        super().__init__(
            f'cannot run "{command}": {"there is no such command" if missing else os.strerror(number)}',
            do=f"check the spelling, or give the full path: type -a {word}"
            if missing
            else f"ls -l {word}; chmod +x {word}",
        )
        self.exit_status = 127 if missing else 126
        self.number = number


class Changed(OomguardError):
    """The work on disk was made from another input or with other options."""


class InUse(OomguardError):
    """Another run works in the same folder."""


class MissingExtra(OomguardError):
    """An optional part of oomguard is not installed; `extra` is its name in square brackets."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, do=f"pip install 'oomguard[{extra}]'")


class NeedsPrivilege(OomguardError):
    """The kernel refused for lack of a permission."""


class NotOurs(OomguardError):
    """Root would write in another user's folder, or to another user's file, and does not."""


class NothingFound(OomguardError):
    """There is nothing to work on."""


class Stopped(OomguardError):
    """Ended by the user or a signal; work already done is kept. The status is a shell's: 128 plus the signal."""

    exit_status = 130


class SwapFailed(OomguardError):
    """A step failed in the middle; what went before it is undone."""


class SwapRefused(OomguardError):
    """Swap cannot or should not be made or removed there; nothing was changed."""


class Unreachable(OomguardError):
    """A server does not deliver an input; work already done is kept."""


class WorkerFailed(OomguardError):
    """A helper process ended when it should not have."""


def _is_nowhere() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - that it fails is what is asked
    except FileNotFoundError:
        return True
    return False


def explain(error: BaseException) -> OomguardError | None:
    """What the machine refused, or what no bound foresaw, with the next step; None: a bug, which shows itself."""
    if isinstance(error, OomguardError):
        return error
    if isinstance(error, OSError):
        if isinstance(error, FileNotFoundError) and _is_nowhere():
            return OomguardError("the current folder is gone", do="cd to a folder that exists, such as cd ~")
        where = f": {error.filename}" if error.filename else ""
        has_no_proc = isinstance(error, FileNotFoundError) and error.filename in ("/proc/self/stat", "/proc/self")
        do = "mount -t proc proc /proc" if has_no_proc else _DO.get(error.errno or 0, "ulimit -a; df -h")
        return OomguardError(f"{error.strerror or error}{where}", do=do)
    for kind, what, do in _unforeseen():
        if isinstance(error, kind) and (kind is not RuntimeError or str(error) == "can't start new thread"):
            return OomguardError(what.format(error), do=do)
    if isinstance(error, ImportError) and ".so" in f"{error.path} {error}":  # no memory for a library
        return OomguardError(f"a part of Python cannot be loaded: {error}", do=_DO[errno.ENOMEM])
    return None


def _unforeseen() -> list[tuple[type[BaseException], str, str]]:
    kinds: list[tuple[type[BaseException], str, str]] = [
        (MemoryError, "no memory is left for oomguard itself", _DO[errno.ENOMEM]),
        (SystemError, "a part of Python failed, as happens when no memory is left: {}", _DO[errno.ENOMEM]),
        (RecursionError, "an input is nested too deeply to be read", "give a file or folder with fewer levels"),
        (UnicodeError, "text that cannot be read or shown as it is: {}", "export LC_ALL=C.UTF-8"),
        (RuntimeError, "no thread could be started", _DO[errno.EAGAIN]),
    ]
    if "subprocess" in sys.modules:
        expired = sys.modules["subprocess"].TimeoutExpired
        kinds.append((expired, "a helper program did not end in time: {}", "the same command again"))
    return kinds


def edge(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Where a feature meets its caller: what the machine refuses comes out as an OomguardError."""

    @functools.wraps(function)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except OomguardError:
            raise
        except Exception as error:
            explained = explain(error)
            if explained is None:
                raise
            raise explained from error

    return guarded
