"""What a person sees on standard error: lines, their colour, how far something is, and how a command ends."""

from __future__ import annotations

import errno
import importlib
import os
import re
import select
import shutil
import sys
import textwrap
import time
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from oomguard.errors import CannotStart, OomguardError, Stopped, explain
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from rich.progress import Progress

# Colour for verdicts, on a terminal only: what was found stands out, and everything else stays as it is.

_RED, _GREEN, _YELLOW, _PLAIN = "\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m", "\x1b[0m"

# What a line begins with, where it is a verdict: the label of a row (two spaces follow), or the sentence itself.
_VERDICTS = (
    (_RED, re.compile(r"error:|does not fit(?=:)|fits +no\b|(killed by|killed|stopped|refused)(?=  )|NOT ENOUGH")),
    (_GREEN, re.compile(r"fits:|fits +yes\b|(done|on|removed)(?=  )|all of it is fine|no problems found")),
    (_YELLOW, re.compile(r"(oomguard: )?warning:|(note|but)(?=  )")),
)
_COSTS = re.compile(r"([a-z/][\w /-]{0,20} |  )( *)!(?= )")  # a line of doctor that could be better


def wants_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours, of a user who did not switch them off.

    Source: no-color.org: NO_COLOR with any text in it; terminfo(5): "dumb" and unset know no escapes.
    """
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb" and stream.isatty()


def coloured(text: str) -> str:
    """Give a screen with its verdicts in colour. Screens hold no escapes of their own: they are made printable."""
    return "\n".join(map(_coloured_line, text.split("\n")))


def _coloured_line(line: str) -> str:
    for colour, pattern in _VERDICTS:
        if found := pattern.match(line):
            return f"{colour}{found[0]}{_PLAIN}{line[found.end() :]}"
    if found := _COSTS.match(line):
        return f"{found[1]}{found[2]}{_YELLOW}!{_PLAIN}{line[found.end() :]}"
    return line


# Write to standard error, which may be a full disk, or a pipe whose reader has gone.
#
# What cannot be written there changes nothing else: neither whether a command is started, nor its status.


def tell(text: str) -> None:
    """Write `text` to standard error, past Python's buffer: it would try what failed again at exit, with status 120.

    Raises: nothing.
    """
    with suppress(OSError, ValueError):
        sys.stderr.flush()
        try:
            fd = sys.stderr.fileno()
        except (OSError, AttributeError):  # what stands in for it in another's program
            sys.stderr.write(text)
            return
        _write(fd, text.encode(sys.stderr.encoding or "utf-8", "backslashreplace"))


def _write(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # another process that shares the terminal made it non-blocking
            select.select([], [fd], [])


_LINE_SECONDS = 5.0
_NARROWEST = 40


def say(text: str, *, prefix: str = "", wrap: bool = True) -> None:
    """Tell one thing, in lines of the terminal's width; a word is never broken, so that a path can be copied.

    `wrap=False` is for lines to paste and for names, which stay whole.
    """
    line = f"{prefix}{printable(text)}"
    if wrap:
        width = max(_NARROWEST, shutil.get_terminal_size().columns)
        lines = textwrap.wrap(
            line, width, subsequent_indent=" " * (len(prefix) + 2), break_long_words=False, break_on_hyphens=False
        )
        line = "\n".join(lines)
    tell((coloured(line) if wants_colour(sys.stderr) else line) + "\n")


class ProgressLine:
    """How far something is: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet."""

    def __init__(self) -> None:
        """Draw nothing yet: what takes no time shows no bar."""
        self._bar: Progress | None = None
        self._last = time.monotonic()

    def show(self, status: str, *, done: float, total: float | None) -> None:
        """Show `status`, and `done` of `total` as a bar; None: the total is not known."""
        if not sys.stderr.isatty():
            now = time.monotonic()
            if now - self._last >= _LINE_SECONDS:
                self._last = now
                say(status, wrap=False)
            return
        if self._bar is None:
            self._bar = _new_bar()
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, status=printable(status))

    def close(self) -> None:
        """Take the bar away; the next show() draws another."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _new_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    bar = Progress(
        BarColumn(bar_width=None),
        TextColumn("{task.fields[status]}", markup=False),
        console=Console(stderr=True, highlight=False),
        transient=True,
        refresh_per_second=5,
    )
    bar.add_task("", total=None, status="")
    return bar


_FAILED, _FAILED_BESIDE_A_COMMAND = 1, 125
_OF_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EIO)


def status_of(function: Callable[[], None]) -> int:
    """Call it, print its error, and give the exit status: 1 for what failed, 128 and the signal that stopped it."""
    try:
        function()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else _FAILED if end.code else 0
    except OomguardError as error:
        label = "stopped" if isinstance(error, Stopped) else "error"
        tell_failure(label, str(error), error.do)
        return error.exit_status
    except KeyboardInterrupt:
        tell("stopped\n")
        return Stopped.exit_status
    except Exception as error:  # noqa: BLE001 - told, or shown as a bug
        return _tell_other(error)
    return 0


def _tell_other(error: Exception) -> int:
    if isinstance(error, OSError) and error.filename is None and error.errno in _OF_OUTPUT:
        if error.errno != errno.EPIPE:  # `oomguard ... | head`: what nobody reads is not an error
            doing = "write to standard output" if error.errno == errno.ENOSPC else "read or write"
            tell_failure("error", f"could not {doing}: {error.strerror}", "df -h")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain again when it exits
    elif (explained := explain(error)) is not None:
        tell_failure("error", str(explained), explained.do)
    else:
        tell_bug()
    # Beside a command, 1 may be its own status.
    return _FAILED_BESIDE_A_COMMAND if sys.argv[1:2] in (["run"], ["profile"]) else _FAILED


def tell_bug() -> None:
    """Show the traceback of what nobody foresaw, and what to do with it."""
    try:
        version = importlib.import_module("importlib.metadata").version("oomguard")
    except Exception:  # noqa: BLE001 - what broke the program may have broken imports, too
        version = "(of an unknown version)"
    kernel = os.uname().release
    tell(
        f"{traceback.format_exc()}error: this is a bug in oomguard {version} (Python {sys.version.split()[0]}, "
        f"Linux {kernel})\n  try: report these lines, and the command, to the place where you got oomguard; see "
        "SECURITY.md first if the bug endangers others\n"
    )


def status_of_job(function: Callable[[], None]) -> int:
    """The same, in a forked process, where nothing may go back to the caller."""
    try:
        status = status_of(function)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - a bug, which shows where
        tell_bug()
        return _FAILED
    return status


def tell_failure(label: str, what: str, do: str) -> None:
    """Print two lines: what, and what to do. Both may quote what somebody gave; a terminal must not obey it."""
    text = f"{label}: {printable(what)}\n  try: {printable(do)}\n"
    tell(coloured(text) if wants_colour(sys.stderr) else text)


# Beside a command, 1 may be its own status: whatever fails in oomguard ends with 125.

OWN_FAILURE = 125


@contextmanager
def own_failures_are_told(status: int = OWN_FAILURE) -> Iterator[None]:
    """Within the block what goes wrong is oomguard's own failure, except for a command that cannot be started."""
    try:
        yield
    except CannotStart:
        raise
    except OomguardError as error:
        error.exit_status = status
        raise
    except Exception as error:
        explained = explain(error)
        if explained is None:  # a bug: it shows where, and is not taken for the command's failure
            tell_bug()
            sys.exit(status)
        told = OomguardError(f"oomguard itself failed: {explained}", do=explained.do)
        told.exit_status = status
        raise told from error
