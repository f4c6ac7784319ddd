"""Ctrl-C and SIGTERM end a run between two pieces; a second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], str | None]]:
    """Give a function that names the signal that asked to stop, None until one did. For the main thread."""
    asked: list[str] = []

    def handle(number: int, _: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        if len(asked) > 1 and number == signal.SIGINT:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
