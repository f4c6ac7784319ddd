"""What `swap` does, on standard error."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oomguard.cli.console import ProgressLine, say
from oomguard.swap.api import SwapEvents
from oomguard.units import format_clock, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def show_swap_events() -> Iterator[SwapEvents]:
    """Give the events that show progress and notes until the block ends."""
    reporter = _Reporter()
    try:
        yield SwapEvents(on_progress=reporter.progress, on_note=reporter.note)
    finally:
        reporter.line.close()


class _Reporter:
    def __init__(self) -> None:
        self.line = ProgressLine()
        self._doing = ""
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        say(text, prefix="note: ")

    def progress(self, doing: str, done: int, total: int) -> None:
        if doing != self._doing:
            self._doing, self._began = doing, time.monotonic()
        seconds = time.monotonic() - self._began
        left = f", {format_clock(seconds * (total - done) / done)} left" if done and seconds > 1 else ""
        self.line.show(f"{doing}: {format_size(done)} of {format_size(total)}{left}", done=done, total=total)
        if done >= total:
            self.line.close()
