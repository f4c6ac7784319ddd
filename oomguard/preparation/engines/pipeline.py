"""The coordinator: sources -> chunks -> workers -> shards, in the order of the input, inside the budget.

It holds no text itself and imports nothing heavy. What may need much memory happens in processes that the kernel would
end first, and a chunk whose worker died is done again.
"""

from __future__ import annotations

import selectors
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import BudgetTooSmall, OomguardError, Stopped, WorkerFailed
from oomguard.preparation.engines.bad_files import Fault, FileLedger
from oomguard.preparation.engines.intake import Intake
from oomguard.preparation.engines.progress import PipelineState
from oomguard.preparation.engines.worker_pool import Child
from oomguard.preparation.writing.sink_thread import SinkThread
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from oomguard.preparation.engines.messages import Encoded
    from oomguard.preparation.engines.progress import MemoryMeter
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.engines.worker_pool import WorkerPool
    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.sink_thread import Sink

_TICK_SECONDS = 0.05
_ATTEMPTS = 3
_NO_SLOT = -1  # of a piece that comes from no worker


class Pipeline:
    """One run from a position in the input to its end."""

    def __init__(
        self,
        job: Job,
        workers: WorkerPool,
        sink: Sink,
        meter: MemoryMeter,
        *,
        oom_kills: Callable[[], int],
        stop_requested: Callable[[], bool],
        on_state: Callable[[PipelineState], None],
        lines_before: Callable[[], int] = lambda: 0,
    ) -> None:
        """`lines_before` counts the lines before a part of a file, where an error is to name one."""
        self._job = job
        self._slots = workers.slots
        self._sink = SinkThread(sink)
        self._meter = meter
        self._oom_kills = oom_kills
        self._stop_requested = stop_requested
        self._on_state = on_state
        self._lines_before = lines_before
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._sink.wake_fd, selectors.EVENT_READ)
        self._workers = workers
        workers.listen_with(self._selector)
        self._ready: deque[Work] = deque()
        self._results: dict[int, tuple[Work, Encoded] | Fault] = {}
        self._rests: dict[int, Work] = {}  # by the slot that they take up again once it is written
        self._next = 0
        self._taken = replace(sink.totals)
        position = sink.position or {"source": 0}
        self._files = FileLedger(job, position)
        self._source: int = position["source"]
        self._line: int = (position.get("resume") or {}).get("line") or 1  # of what comes next
        workers.ask_check(job.columns_to_check(self._source))
        self._intake = Intake(job, workers.slots, self._selector, position=position, ask_plan=workers.ask_plan)

    def run(self) -> PipelineState:
        """Work until the input ends.

        Raises: OomguardError for what is wrong with the input, the disk or the budget; Stopped on request. Either
        way all that was encoded before is with the sink.
        """
        stopping = False
        try:
            while not self._is_done():
                if stopping := self._stop_requested():
                    raise Stopped("stopped on request", do="run the same command again: it resumes from here")
                self._step()
            self._require_enough(self._source)
            self._meter.look()  # while the workers still hold what they do
        finally:
            self._intake.close()
            self._workers.end_all(kill=True)
            self._selector.close()
            self._sink.close(discard=stopping)
        state = self.state()
        self._on_state(state)
        return state

    def state(self) -> PipelineState:
        """Say how far it is."""
        return PipelineState(
            totals=self._taken,
            bytes_read=self._intake.bytes_read(),
            workers=len(self._workers),
            memory=self._meter.now,
            peak=self._meter.peak,
            restarts=self._workers.restarts,
            largest_rss=self._workers.largest_rss,
            notes=tuple(self._intake.notes),
        )

    def _is_done(self) -> bool:
        return self._intake.is_done and self._next == self._intake.numbered and not self._results

    def _step(self) -> None:
        work, failures = self._intake.collect(busy=self._workers.is_busy or bool(self._ready))
        self._ready.extend(work)
        self._results.update(failures)
        self._dispatch()
        self._take_results()
        if self._is_done():
            return
        for key, _ in self._selector.select(_TICK_SECONDS):
            if isinstance(key.data, Child):
                self._hear(key.data)
        self._take_back(self._sink.freed())
        if self._meter.look_now_and_then():
            self._on_state(self.state())

    def _dispatch(self) -> None:
        while self._ready:
            work = self._ready[0]
            if work.needs > self._job.budget.alone:
                self._ready.popleft()
                self._results[work.number] = Fault(work.source, self._no_room(work))
                continue
            worker = self._workers.worker_for(work)
            if worker is None:
                return
            self._ready.popleft()
            worker.outstanding[work.task.slot] = work
            try:
                worker.channel.send(replace(work.task, scratch=work.needs) if work.needs else work.task)
            except OSError:
                self._bury(worker)

    def _hear(self, child: Child) -> None:
        if self._intake.is_reader(child):
            self._intake.hear_stream(self._oom_kills)
            return
        if child not in self._workers:
            return  # it was buried a moment ago
        heard = self._workers.hear(child)
        if heard is None:
            self._bury(child)
            return
        answers, plans = heard
        for work, encoded in answers:
            if encoded.error == "room":
                work.needs, work.is_word = work.needs + encoded.needs, True
                self._ready.appendleft(work)
            else:
                self._results[work.number] = (work, encoded)
        for plan in plans:
            if "planned" in plan:
                self._intake.planned(plan)
            elif plan["checked"] is not None:
                raise self._intake.stream.error_of({"error": plan["checked"]})

    def _take_results(self) -> None:
        while (result := self._results.pop(self._next, None)) is not None:
            if isinstance(result, Fault):
                self._next += 1
                if not self._files.is_left(result.source):
                    self._leave(result.source, result.make(self._line_now()))
                continue
            work, encoded = result
            slot = work.task.slot
            if self._files.is_left(work.source):
                self._next += 1
                self._intake.free([slot])
                continue
            if work.source != self._source:
                self._require_enough(self._source)
                self._source, self._line = work.source, 1
                self._files.begin(work.source)
            is_last = work.position["source"] > work.source
            error: OomguardError | None = self._files.too_much_left_out(
                encoded.left_out, encoded.documents, at_end=is_last
            )
            if encoded.error is not None:
                error = self._job.text_error(work, encoded, documents=self._documents_before(), line=self._line_now())
            if error is not None and not self._files.may_leave(error):
                raise error
            self._line += encoded.lines
            rest = work.rest_after(encoded.rows) if error is None else None
            count = Totals(
                tokens=encoded.tokens,
                documents=encoded.documents - work.goes_on,
                input_bytes=encoded.text_bytes,
                repaired_bytes=encoded.repaired,
                left_out=encoded.left_out,
                verified_documents=encoded.verified_documents,
                verified_bytes=encoded.verified_bytes,
            )
            self._taken = self._taken.plus(count)
            self._files.count(work, count.documents, encoded.left_out, is_open=encoded.is_open and not is_last)
            piece = EncodedPiece(
                tokens=self._slots.tokens(slot, encoded.tokens),
                ends=self._slots.ends(slot, encoded.documents) if self._job.with_ends else None,
                split=work.split,
                count=count,
                origins=self._slots.origins(slot, encoded.documents) if self._job.options.provenance else None,
                open_from=encoded.open_from,
                source=work.source,
                member=work.member,
                position=self._files.with_counts(self._position_behind(work) if rest is None else rest.position_before),
                read=work.parts(encoded) if error is None else (),
            )
            if error is not None:
                piece = self._files.leave(work.source, error, piece)
                self._intake.leave(work.source)
            self._sink.put(slot, piece)
            if rest is None:
                self._next += 1
            else:
                self._rests[slot] = rest

    def _line_now(self) -> int:
        """The number of the next line in its file."""
        return self._lines_before() + self._line

    def _documents_before(self) -> int | None:
        """How many documents of the input came before; None: other units have them."""
        return self._taken.documents if self._job.text_files is None else None

    def _leave(self, source: int, error: OomguardError) -> None:
        """Go on behind a file, if that was asked for. Raises: the error, if not."""
        if not self._files.may_leave(error):
            raise error
        piece = self._files.leave(source, error)
        self._taken = self._taken.plus(piece.count)
        self._sink.put(_NO_SLOT, piece)
        self._intake.leave(source)

    def _require_enough(self, source: int) -> None:
        """At the end of a file: not most of it was left out. Raises: BadInput."""
        error = self._files.too_much_left_out(at_end=True)
        if error is not None and not self._files.is_left(source):
            self._leave(source, error)

    def _take_back(self, slots: list[int]) -> None:
        """A slot that was written is free, or continues with the rest of its work, which all others wait for."""
        for slot in slots:
            if slot == _NO_SLOT:
                continue
            if slot in self._rests:
                self._ready.appendleft(self._rests.pop(slot))
            else:
                self._intake.free([slot])

    def _position_behind(self, work: Work) -> dict[str, Any]:
        if work.task.kind == "lines" and "resume" in work.position:
            return {**work.position, "resume": {**work.position["resume"], "line": self._line}}
        return work.position

    def _bury(self, worker: Child) -> None:
        """A worker died: do its chunks again, more carefully."""
        was_ready = worker.ready
        lost, planning = self._workers.bury(worker)
        restarts, status = self._workers.restarts, self._workers.last_status
        if planning is not None:
            self._intake.plan_lost(planning)
        if not was_ready and restarts > _ATTEMPTS:
            raise WorkerFailed(f"workers cannot start (exit status {status})", do="its message is above")
        for work in lost[:1]:  # those behind it were not begun
            work.attempts += 1
            if work.attempts >= _ATTEMPTS:
                raise self._chunk_error(work, status)
            work.is_suspect = work.attempts > 1  # alone, so that nothing else takes the memory
        if self._oom_kills() or restarts > _ATTEMPTS:
            self._workers.allowed = 1
        self._ready.extendleft(sorted(lost, key=lambda work: -work.number))

    def _no_room(self, work: Work) -> Callable[[int], OomguardError]:
        def failure(line: int) -> OomguardError:
            return self._job.room_error(work, documents=self._documents_before(), line=line)

        return failure

    def _chunk_error(self, work: Work, status: int | None) -> OomguardError:
        where = work.where(0, self._documents_before(), self._line_now())
        if kills := self._oom_kills():
            return BudgetTooSmall(
                f"{where}: the {format_size(work.task.size)} there do not fit in the budget "
                f"({kills} processes were ended by the kernel)",
                do=f"--max-rss {2 * self._meter.budget // (1 << 20)}M",
            )
        return WorkerFailed(
            f"{where}: the worker ended {_ATTEMPTS} times (exit status {status})",
            do="its message is above; please report it with the text from there",
        )
