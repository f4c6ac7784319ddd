"""What `swap` does, on standard error: a bar on a terminal where a step takes long, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from oomguard.swap.api import SwapEvents
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_SECONDS = 5.0


@contextmanager
def show_swap_events() -> Iterator[SwapEvents]:
    """Give the events that show progress and notes until the block ends."""
    console = Console(stderr=True, highlight=False)
    reporter = _Reporter(console)
    try:
        yield SwapEvents(on_progress=reporter.progress, on_note=reporter.note)
    finally:
        reporter.close()


class _Reporter:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._last = time.monotonic()

    def note(self, line: str) -> None:
        self._say(f"note: {line}")

    def progress(self, doing: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._console.is_terminal:
            self._on_terminal(doing, done, total)
        elif now - self._last >= _LINE_SECONDS:
            self._last = now
            self._say(f"{doing}: {format_size(done)} of {format_size(total)}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _on_terminal(self, doing: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[amount]}", markup=False),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task(doing, total=total, amount="")
            self._bar.start()
        amount = f"{format_size(done)} of {format_size(total)}"
        self._bar.update(self._task, description=doing, completed=done, total=total, amount=amount)
        if done >= total:
            self.close()

    def _say(self, line: str) -> None:
        self._console.print(Text(printable(line)), soft_wrap=True)
        sys.stderr.flush()
