"""The workers of a run: which there are, who gets the next chunk, and what happens when one ends."""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING, Any

from oomguard.preparation.engines.children import Child, start_worker, worker_config
from oomguard.preparation.engines.messages import Encoded

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.job import Job

_DEPTH = 2  # chunks a worker has at a time, so that it never waits for the next


class WorkerPool:
    """Starts the workers, hands out chunks, and replaces a worker that ended."""

    def __init__(self, job: Job, slots: Slots, stack: ExitStack) -> None:
        """Start them all, which import what they need while the run is prepared; `stack` ends them."""
        self.restarts = 0  # workers that ended when they should not have
        self.largest_rss = 0
        self.last_status: int | None = None  # of one that ended when it should not have
        self._job = job
        self.slots = slots
        self._selector: selectors.BaseSelector | None = None
        self._workers: list[Child] = []
        self._is_set_up = False
        self.allowed = job.budget.workers
        stack.callback(self.end_all, kill=True)
        for _ in range(job.budget.workers):
            self._start()

    def configure(self) -> None:
        """Tell those that have been started what they need to know: all that they share is there now."""
        self._is_set_up = True
        for worker in self._workers:
            self._configure(worker)

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, child: object) -> bool:
        return child in self._workers

    def listen_with(self, selector: selectors.BaseSelector) -> None:
        """Let `selector` hear what the workers say."""
        self._selector = selector
        for worker in self._workers:
            selector.register(worker.channel.connection, selectors.EVENT_READ, worker)

    @property
    def is_busy(self) -> bool:
        """Whether any chunk is under way."""
        return any(worker.outstanding for worker in self._workers)

    def worker_for(self, work: Work) -> Child | None:
        """Give a worker with time for a chunk. Large pages go side by side as far as the budget has room for them."""
        if self._must_wait(work):
            return None
        while len(self._workers) < self.allowed:
            self._start()
        free = [worker for worker in self._workers if len(worker.outstanding) < _DEPTH]
        return min(free, key=lambda worker: (len(worker.outstanding), not worker.ready), default=None)

    def _must_wait(self, work: Work) -> bool:
        """Whether it needs what others have now, or one of them may not be disturbed."""
        others = [other for worker in self._workers for other in worker.outstanding.values()]
        special = [one for one in (work, *others) if one.needs or one.is_suspect]
        if not special or not others:
            return False
        needs = sum(one.needs for one in special)
        return any(one.is_alone for one in special) or needs > self._job.budget.together

    def ask_plan(self, message: dict[str, Any]) -> None:
        """Have a worker look which rows a parquet file has."""
        if not self._workers:  # the last one has just ended
            self._start()
        worker = min(self._workers, key=lambda worker: len(worker.outstanding))
        worker.planning = message["plan"]
        worker.channel.tell(message)

    def ask_check(self, files: list[dict[str, Any]]) -> None:
        """Have a worker look whether files have the column; if it ends meanwhile, the reading will say."""
        if files and self._workers:
            self._workers[-1].channel.tell({"check": files})

    def hear(self, child: Child) -> tuple[list[tuple[Work, Encoded]], list[dict[str, Any]]] | None:
        """Take what a worker says: answers, and plans of rows. None: it has ended."""
        messages = child.channel.receive()
        if messages is None:
            return None
        answers: list[tuple[Work, Encoded]] = []
        plans: list[dict[str, Any]] = []
        for message in messages:
            if "ready" in message:
                child.ready = True
            elif "planned" in message:
                child.planning = None
                plans.append(message)
            elif "checked" in message:
                plans.append(message)
            else:
                encoded = Encoded(**message)
                answers.append((child.outstanding.pop(encoded.slot), encoded))
                child.rss = encoded.rss
                self.largest_rss = max(self.largest_rss, encoded.rss)
        return answers, plans

    def bury(self, child: Child) -> tuple[list[Work], int | None]:
        """A worker has ended: give the chunks that it had, in order, and the source that it was to plan."""
        self.restarts += 1
        self._remove(child)
        had = sorted(child.outstanding.values(), key=lambda work: work.number)
        return had, child.planning

    def end_all(self, *, kill: bool = False) -> None:
        """End them all: the run is over."""
        for child in list(self._workers):
            self._remove(child, kill=kill)

    def free_slots(self) -> None:
        """Give the memory that was shared back to the kernel: nothing is in it any more."""
        for slot in range(self.slots.layout.slots):
            self.slots.free_pages(slot)

    def _start(self) -> None:
        worker = start_worker(self._job, self.slots)
        # For a sample, one that verifies is enough: the reference needs memory too.
        worker.verifies = self._job.options.verify == "full" or not any(one.verifies for one in self._workers)
        if self._is_set_up:
            self._configure(worker)
        self._workers.append(worker)
        if self._selector is not None:
            self._selector.register(worker.channel.connection, selectors.EVENT_READ, worker)

    def _configure(self, worker: Child) -> None:
        worker.channel.tell(worker_config(self._job, self.slots, verify=worker.verifies))

    def _remove(self, child: Child, *, kill: bool = False) -> None:
        if self._selector is not None:
            self._selector.unregister(child.channel.connection)
        self._workers.remove(child)
        status = child.close(kill=kill)
        self.last_status = self.last_status if kill else status
