"""Ctrl-C and SIGTERM end a run between two pieces; a second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
import threading
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


@contextmanager
def stoppable(also: Callable[[], str | None]) -> Iterator[Callable[[], str | None]]:
    """As stop_on_signals(), joined with another such function; in any thread: only the main one sees to signals."""
    if threading.current_thread() is not threading.main_thread():
        yield also
        return
    with stop_on_signals() as asked:
        yield lambda: asked() or also()
