"""The encoders of a run: which there are, who gets the next piece, and what happens when one ends."""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

from oomguard.preparation.engines.children import Child, fork_child, start_child
from oomguard.preparation.engines.messages import Encoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.job import Job

_DEPTH = 2  # pieces an encoder has at a time, so that it never waits for the next


class EncoderPool:
    """Starts a nursery, forks encoders from it, and exchanges those whose tokenizers have grown too large."""

    def __init__(
        self,
        job: Job,
        slots: Slots,
        nursery: Child,
        selector: selectors.BaseSelector,
        *,
        room: Callable[[], int],
    ) -> None:
        """`nursery` has been started and waits for its config; `room` gives the bytes of the budget that are free."""
        self.allowed = job.budget.workers
        self.restarts = 0  # encoders that ended when they should not have
        self.largest_rss = 0
        self.last_status: int | None = None  # of one that ended when it should not have
        self._job = job
        self._slots = slots
        self._selector = selector
        self._room = room
        self._waiting: Child | None = nursery
        self._nursery: Child | None = None
        self._working: list[Child] = []  # with the nursery, as long as it encodes

    def __len__(self) -> int:
        return len(self._working)

    def __contains__(self, child: Child) -> bool:
        return child is self._nursery or child in self._working

    @property
    def is_busy(self) -> bool:
        """Whether any piece is being encoded."""
        return any(encoder.outstanding for encoder in self._working)

    def encoder_for(self, work: Work) -> Child | None:
        """Give an encoder with time for a piece, starting or ending some where that is called for."""
        if self._nursery is not None and self._nursery.mark != work.mark:  # a tokenizer knows one mark
            if self.is_busy:
                return None
            self.end_all()
        free = [child for child in self._working if len(child.outstanding) < _DEPTH and not child.leaving]
        idle = [child for child in free if not child.outstanding]
        if not idle and len(self._working) < self.allowed and self._has_room_for_one_more():
            self._start(work.mark)
            idle = [child for child in self._working if not child.outstanding]
        return min(idle or free, key=lambda child: len(child.outstanding), default=None)

    def hear(self, child: Child) -> tuple[list[tuple[Work, Encoded]], list[Work]] | None:
        """Take what an encoder says: answers, and pieces that it leaves to others. None: it has ended."""
        messages = child.channel.receive()
        if messages is None:
            return None
        answers: list[tuple[Work, Encoded]] = []
        left: list[Work] = []
        for message in messages:
            if "ready" in message:
                child.is_ready(message["pid"], message["rss"])
            elif "ended" in message:
                self.last_status = message["status"] or self.last_status
            else:
                encoded = Encoded(**message)
                answers.append((child.outstanding.pop(encoded.slot), encoded))
                child.rss = encoded.rss
                self.largest_rss = max(self.largest_rss, encoded.rss)
                if encoded.leaves:
                    left += self._let_go(child)
        if child.leaving and not child.outstanding:
            self._retire(child)
        return answers, left

    def bury(self, child: Child) -> tuple[list[Work], list[Work]]:
        """An encoder has ended: give the pieces that it had, and those of others that end with it."""
        had = _in_order(child)
        if child is not self._nursery:
            self._remove(child)
            if self._nursery is None or self._nursery.has_ended:
                return [], had  # which ends all others, and is heard of next
            self.restarts += 1
            return had, []
        self.restarts += 1
        self.last_status = self._remove(child) or self.last_status
        self._nursery = None
        others = [work for orphan in self._working for work in _in_order(orphan)]
        self.end_all(kill=True)
        return had, others

    def one_less(self) -> None:
        """End the largest encoder when it is done with its pieces, and get along without."""
        staying = [encoder for encoder in self._working if not encoder.leaving]
        if len(staying) > 1:
            self.allowed = len(staying) - 1
        self.exchange_largest()

    def one_more(self) -> None:
        """Allow one more, up to what was planned."""
        self.allowed = min(self.allowed + 1, self._job.budget.workers)

    def exchange_largest(self) -> None:
        """End the largest encoder when it is done with its pieces; one that has learned less takes its place."""
        staying = [encoder for encoder in self._working if not encoder.leaving and encoder is not self._nursery]
        if staying:
            largest = max(staying, key=lambda child: child.rss)
            largest.leaving = True
            if not largest.outstanding:
                self._retire(largest)

    def end_all(self, *, kill: bool = False) -> None:
        """End them all: something large is about to be held, or the run is over."""
        for child in list(self._working):
            if child is not self._nursery:
                self._remove(child, kill=kill)
        if self._nursery is not None:
            self._remove(self._nursery, kill=kill)
            self._nursery = None

    def _has_room_for_one_more(self) -> bool:
        return not self._working or self._room() > self._job.forked_bytes

    def _start(self, mark: bytes) -> None:
        if self._nursery is not None:
            self._fork(self._nursery)
            return
        self._nursery = self._waiting or start_child("encoder_process", share=(self._slots.fd,))
        self._waiting = None
        self._nursery.mark, self._nursery.verifies = mark, True
        self._nursery.channel.tell(self._job.encoder_config(self._slots, mark=mark))
        self._add(self._nursery)
        room = self._room() - self._job.encoder_bytes
        for _ in range(min(self.allowed - 1, room // self._job.forked_bytes)):
            self._fork(self._nursery)  # now, so that they need not wait for its first piece

    def _fork(self, nursery: Child) -> None:
        # For a sample, one that verifies is enough: the reference needs memory too.
        verify = self._job.options.verify == "full" or not any(child.verifies for child in self._working)
        self._add(fork_child(nursery, verify=verify))

    def _add(self, child: Child) -> None:
        self._working.append(child)
        self._selector.register(child.channel.connection, selectors.EVENT_READ, child)

    def _let_go(self, child: Child) -> list[Work]:
        """A process takes no more pieces: give those that were under way to it. The nursery stays, to fork others."""
        left = _in_order(child)
        child.outstanding.clear()
        if child is self._nursery:
            self._working.remove(child)
            child.verifies = False
        else:
            child.leaving = True  # it ends by itself
        return left

    def _retire(self, child: Child) -> None:
        if child is not self._nursery:
            self._remove(child)

    def _remove(self, child: Child, *, kill: bool = False) -> int | None:
        self._selector.unregister(child.channel.connection)
        if child in self._working:
            self._working.remove(child)
        return child.close(kill=kill)


def _in_order(child: Child) -> list[Work]:
    return sorted(child.outstanding.values(), key=lambda work: work.number)
