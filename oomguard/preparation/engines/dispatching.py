"""Chunks on their way to workers: in order, and again, more carefully, where a worker ended over one."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import WorkerFailed
from oomguard.preparation.engines.problems import Fault, chunk_failed, room_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.errors import OomguardError
    from oomguard.preparation.engines.children import Child
    from oomguard.preparation.engines.problems import Failure
    from oomguard.preparation.engines.run import Run
    from oomguard.preparation.engines.taking import Taker
    from oomguard.preparation.engines.work import Work

_ATTEMPTS = 3


class Dispatcher:
    """Hands out what is ready; the taker says where in the input that is."""

    def __init__(self, run: Run, taker: Taker, *, plan_lost: Callable[[int], None]) -> None:
        """`plan_lost` is told of a source whose rows a worker was to plan that has ended."""
        self.ready: deque[Work] = deque()
        self._job = run.job
        self._workers = run.workers
        self._oom_kills = run.budget.oom_kills
        self._taker = taker
        self._plan_lost = plan_lost

    def dispatch(self) -> None:
        """Give workers as much as they have time for. Raises: WorkerFailed; BudgetTooSmall."""
        while self.ready:
            work = self.ready[0]
            if work.needs > self._job.budget.alone:
                self.ready.popleft()
                self._taker.add({work.number: Fault(work.source, self._no_room(work))})
                continue
            worker = self._workers.worker_for(work)
            if worker is None:
                return
            self.ready.popleft()
            worker.outstanding[work.task.slot] = work
            try:
                worker.channel.send(replace(work.task, scratch=work.needs) if work.needs else work.task)
            except OSError:
                self.bury(worker)

    def bury(self, worker: Child) -> None:
        """A worker died: do its chunks again, more carefully."""
        was_ready = worker.ready
        lost, planning = self._workers.bury(worker)
        restarts, status = self._workers.restarts, self._workers.last_status
        if planning is not None:
            self._plan_lost(planning)
        if not was_ready and restarts > _ATTEMPTS:
            raise WorkerFailed(f"workers cannot start (exit status {status})", do="its message is above")
        for work in lost[:1]:  # those behind it were not begun
            work.attempts += 1
            if work.attempts >= _ATTEMPTS:
                raise self._chunk_error(work, status)
            work.is_suspect = work.attempts > 1  # alone, so that nothing else takes the memory
        if self._oom_kills() or restarts > _ATTEMPTS:
            self._workers.allowed = 1
        self.ready.extendleft(sorted(lost, key=lambda work: -work.number))

    def _no_room(self, work: Work) -> Failure:
        def failure(line: int) -> OomguardError:
            return room_error(self._job, work, documents=self._taker.documents_before(), line=line)

        return failure

    def _chunk_error(self, work: Work, status: int | None) -> OomguardError:
        where = work.where(0, self._taker.documents_before(), self._taker.line_now())
        kills = self._oom_kills()
        return chunk_failed(self._job, work, where, oom_kills=kills, attempts=_ATTEMPTS, status=status)
