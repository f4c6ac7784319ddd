"""Writes on a thread of its own, so that a slow disk never keeps the coordinator from its children."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import TYPE_CHECKING, Any, Protocol

from oomguard.kernel.prctl import set_name

if TYPE_CHECKING:
    from oomguard.preparation.writing.token_sink import EncodedPiece, Totals


class Sink(Protocol):
    """Where encoded pieces go, one after another."""

    totals: Totals
    position: dict[str, Any]  # in the input: where to continue from

    def take(self, piece: EncodedPiece) -> None:
        """Take the next one."""
        ...


class SinkThread:
    """Hands pieces to a sink in order and gives their slots back."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pieces: queue.SimpleQueue[tuple[int, EncodedPiece] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._discard = False
        self.wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="oomguard-sink")
        self._thread.start()

    def put(self, slot: int, piece: EncodedPiece) -> None:
        """Queue a piece; `slot` comes back through `freed` once it is written."""
        self._pieces.put((slot, piece))

    def freed(self) -> list[int]:
        """Give the slots that were written since the last call.

        Raises: what went wrong in the sink.
        """
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.wake_fd)
        slots = []
        while not self._done.empty():
            slots.append(self._done.get())
        if self._failure is not None:
            raise self._failure
        return slots

    def close(self, *, discard: bool = False) -> None:
        """Wait until all that was queued is written, or with `discard` only the piece that is being written.

        Raises: what went wrong in the sink.
        """
        self._discard = discard
        self._pieces.put(None)
        self._thread.join()
        os.close(self.wake_fd)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        set_name("oomguard-sink")
        try:
            while (item := self._pieces.get()) is not None:
                slot, piece = item
                if self._failure is None and not self._discard:
                    self._take(piece)
                self._done.put(slot)
                os.eventfd_write(self.wake_fd, 1)
        except BaseException as failure:  # noqa: BLE001 - a thread that ends in silence would pass for one that is done
            self._failure = self._failure or failure

    def _take(self, piece: EncodedPiece) -> None:
        try:
            self._sink.take(piece)
        except BaseException as failure:  # noqa: BLE001 - it is raised again,
            self._failure = failure  # where the coordinator looks next
