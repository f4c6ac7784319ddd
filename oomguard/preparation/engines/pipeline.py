"""The coordinator: sources -> chunks -> workers -> shards, in the order of the input, inside the budget.

It holds no text itself and imports nothing heavy. What may need much memory happens in processes that the kernel would
end first, and a chunk whose worker died is done again.
"""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

from oomguard.errors import Stopped
from oomguard.preparation.engines.dispatching import Dispatcher
from oomguard.preparation.engines.intake import Intake
from oomguard.preparation.engines.problems import reader_error
from oomguard.preparation.engines.progress import MemoryMeter, PipelineState
from oomguard.preparation.engines.taking import NO_SLOT, Taker
from oomguard.preparation.writing.sink_thread import Sink, SinkThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from oomguard.preparation.engines.run import Run

_TICK_SECONDS = 0.05


class Pipeline:
    """One run from a position in the input to its end."""

    def __init__(
        self,
        run: Run,
        sink: Sink,
        meter: MemoryMeter,
        *,
        stop_requested: Callable[[], bool],
        lines_before: Callable[[], int] = lambda: 0,
    ) -> None:
        """`lines_before` counts the lines before a part of a file, where an error is to name one."""
        self._job = run.job
        self._sink = SinkThread(sink)
        self._meter = meter
        self._oom_kills = run.budget.oom_kills
        self._stop_requested = stop_requested
        self._on_state = run.events.on_state
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._sink.wake_fd, selectors.EVENT_READ)
        self._workers = workers = run.workers
        workers.listen_with(self._selector)
        position = sink.position or {"source": 0}
        workers.ask_check(run.job.columns_to_check(position["source"]))
        self._intake = Intake(run.job, workers.slots, self._selector, position=position, ask_plan=workers.ask_plan)
        self._taker = Taker(
            run, position, sink.totals, put=self._sink.put, free=self._intake.free, leave=self._intake.leave,
            lines_before=lines_before,
        )  # fmt: skip
        self._dispatcher = Dispatcher(run, self._taker, plan_lost=self._intake.plan_lost)

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
            self._taker.require_enough()
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
            totals=self._taker.taken,
            bytes_read=self._intake.bytes_read(),
            workers=len(self._workers),
            memory=self._meter.now,
            peak=self._meter.peak,
            restarts=self._workers.restarts,
            largest_rss=self._workers.largest_rss,
            notes=tuple(self._intake.notes),
        )

    def _is_done(self) -> bool:
        return self._intake.is_done and self._taker.next == self._intake.numbered and not self._taker.is_waiting

    def _step(self) -> None:
        work, failures = self._intake.collect(busy=self._workers.is_busy or bool(self._dispatcher.ready))
        self._dispatcher.ready.extend(work)
        self._taker.add(failures)
        self._dispatcher.dispatch()
        self._taker.take()
        if self._is_done():
            return
        for key, _ in self._selector.select(_TICK_SECONDS):
            if key.data is not None:  # else the sink has freed slots
                self._hear(key.data)
        self._take_back(self._sink.freed())
        if self._meter.look_now_and_then():
            self._on_state(self.state())

    def _hear(self, child: Any) -> None:
        if self._intake.stream.is_reader(child):
            self._intake.hear_stream(self._oom_kills)
            return
        if child not in self._workers:
            return  # it was buried a moment ago
        heard = self._workers.hear(child)
        if heard is None:
            self._dispatcher.bury(child)
            return
        answers, plans = heard
        for work, encoded in answers:
            if encoded.error == "room":
                work.needs, work.is_word = work.needs + encoded.needs, True
                self._dispatcher.ready.appendleft(work)
            else:
                self._taker.add({work.number: (work, encoded)})
        for plan in plans:
            if "planned" in plan:
                self._intake.planned(plan)
            elif plan["checked"] is not None:
                raise reader_error(self._job, plan["checked"])

    def _take_back(self, slots: list[int]) -> None:
        """A slot that was written is free, or continues with the rest of its work, which all others wait for."""
        for slot in slots:
            if slot == NO_SLOT:
                continue
            if slot in self._taker.rests:
                self._dispatcher.ready.appendleft(self._taker.rests.pop(slot))
            else:
                self._intake.free([slot])
