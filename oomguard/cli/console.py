"""What a person sees while something runs, on standard error: one line at a time, and a bar on a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from typing import TYPE_CHECKING

from oomguard.cli.colour import coloured, wants_colour
from oomguard.cli.standard_error import tell
from oomguard.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress

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
