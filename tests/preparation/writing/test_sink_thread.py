"""A thread that writes: whatever ends it is raised to whoever waits for it, and never passes for the end of the work."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.preparation.writing import sink_thread
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals

if TYPE_CHECKING:
    from collections.abc import Callable


class _Sink:
    totals = Totals()
    position: dict[str, Any] = {}  # noqa: RUF012 - of the protocol

    def __init__(self, fail: Callable[[], None] = lambda: None) -> None:
        self.taken = 0
        self._fail = fail

    def take(self, _: EncodedPiece) -> None:
        self._fail()
        self.taken += 1


_PIECE: Any = None  # the sink above does not look at it


def _refuse(*_: Any) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_what_was_put_is_taken_and_its_slots_come_back() -> None:
    sink = _Sink()
    thread = sink_thread.SinkThread(sink)
    for slot in range(3):
        thread.put(slot, _PIECE)
    freed: list[int] = []
    while len(freed) < 3:
        freed += thread.freed()
    thread.close()
    assert (freed, sink.taken) == ([0, 1, 2], 3)


def test_a_sink_that_fails_is_heard_of() -> None:
    thread = sink_thread.SinkThread(_Sink(_refuse))
    thread.put(0, _PIECE)
    with pytest.raises(OSError, match="Input/output"):
        thread.close()


def test_a_thread_that_cannot_tell_that_it_wrote_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended in silence: the rest was not written, and the shards got their names."""
    monkeypatch.setattr(os, "eventfd_write", _refuse)
    sink = _Sink()
    thread = sink_thread.SinkThread(sink)
    thread.put(0, _PIECE)
    thread.put(1, _PIECE)
    with pytest.raises(OSError, match="Input/output"):
        thread.close()
    assert sink.taken == 1
