"""The coordinator: sources -> pieces -> encoders -> shards, in the order of the text, inside the budget.

It holds no text itself and imports nothing heavy. What may need much memory happens in processes that the kernel would
end first, and a piece whose encoder died is done again.
"""

from __future__ import annotations

import selectors
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oomguard.errors import BudgetTooSmall, OomguardError, Stopped, WorkerFailed
from oomguard.preparation.engines.children import Child
from oomguard.preparation.engines.encoder_pool import EncoderPool
from oomguard.preparation.engines.intake import Intake
from oomguard.preparation.writing.sink_thread import SinkThread
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.engines.governor import Governor
    from oomguard.preparation.engines.messages import Encoded
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.sink_thread import Sink

_TICK_SECONDS = 0.05
_ATTEMPTS = 3


@dataclass(slots=True, kw_only=True)
class PipelineState:
    """What a progress display shows. Sizes in bytes."""

    totals: Totals
    bytes_read: int  # of the files on disk
    workers: int
    memory: int
    peak: int
    restarts: int
    largest_rss: int
    learned: int  # by which the process that encoded the last piece had grown with what its tokenizer learned


class Pipeline:
    """One run from a position in the input to its end."""

    def __init__(
        self,
        job: Job,
        slots: Slots,
        nursery: Child,
        sink: Sink,
        governor: Governor,
        *,
        oom_kills: Callable[[], int],
        stop_requested: Callable[[], bool],
        on_state: Callable[[PipelineState], None],
    ) -> None:
        self._job = job
        self._slots = slots
        self._sink = SinkThread(sink)
        self._governor = governor
        self._oom_kills = oom_kills
        self._stop_requested = stop_requested
        self._on_state = on_state
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._sink.wake_fd, selectors.EVENT_READ)
        self._encoders = EncoderPool(job, slots, nursery, self._selector, room=governor.room)
        self._ready: deque[Work] = deque()
        self._results: dict[int, tuple[Work, Encoded] | OomguardError] = {}
        self._next = 0
        self._learned = 0
        self._taken = replace(sink.totals)
        self._intake = Intake(job, slots, self._selector, governor, position=sink.position or {"source": 0})

    def run(self) -> PipelineState:
        """Work until the input ends.

        Raises: OomguardError for what is wrong with the input, the disk or the budget; Stopped on request. Either
        way all that was encoded before is with the sink.
        """
        stopping = False
        try:
            while not self._is_done():
                if stopping := self._stop_requested():
                    raise Stopped("stopped on request", do="run the same command again: it goes on from here")
                self._step()
        finally:
            self._intake.close()
            self._encoders.end_all(kill=True)
            self._selector.close()
            self._sink.close(discard=stopping)
        return self.state()

    def state(self) -> PipelineState:
        """Say how far it is."""
        return PipelineState(
            totals=self._taken,
            bytes_read=self._intake.bytes_read(),
            workers=len(self._encoders),
            memory=self._governor.now,
            peak=self._governor.peak,
            restarts=self._encoders.restarts,
            largest_rss=self._encoders.largest_rss,
            learned=self._learned,
        )

    def _is_done(self) -> bool:
        return self._intake.is_done and self._next == self._intake.numbered and not self._results

    def _step(self) -> None:
        busy = self._encoders.is_busy or bool(self._ready)
        work, failures = self._intake.collect(busy=busy, make_room=self._encoders.end_all)
        self._ready.extend(work)
        self._results.update(failures)
        self._dispatch()
        self._take_results()
        if self._is_done():
            return
        for key, _ in self._selector.select(_TICK_SECONDS):
            if isinstance(key.data, Child):
                self._hear(key.data)
        self._intake.free(self._sink.freed())
        self._follow_advice()
        self._on_state(self.state())

    def _dispatch(self) -> None:
        while self._ready:
            work = self._ready[0]
            encoder = self._encoders.encoder_for(work)
            if encoder is None:
                return
            self._ready.popleft()
            encoder.outstanding[work.task.slot] = work
            try:
                encoder.channel.send(work.task)
            except OSError:
                self._bury(encoder)
                return  # it may have been forked from a nursery whose own end is yet to be heard

    def _hear(self, child: Child) -> None:
        if self._intake.is_reader(child):
            self._hear_reader(child)
            return
        if child not in self._encoders:
            return  # it ended with another one that was heard just before
        heard = self._encoders.hear(child)
        if heard is None:
            self._bury(child)
            return
        answers, left = heard
        self._results.update({work.number: (work, encoded) for work, encoded in answers})
        self._ready.extendleft(reversed(left))

    def _hear_reader(self, reader: Child) -> None:
        messages = reader.channel.receive()
        if messages is None:
            self._intake.reader_died(self._oom_kills())
            return
        for message in messages:
            self._intake.hear(message)

    def _take_results(self) -> None:
        while (result := self._results.pop(self._next, None)) is not None:
            if isinstance(result, OomguardError):
                raise result
            work, encoded = result
            if encoded.error is not None:
                raise self._job.text_error(work, encoded, documents=self._taken.documents)
            count = Totals(
                tokens=encoded.tokens,
                documents=encoded.documents - work.goes_on,
                input_bytes=self._job.text_bytes(work, encoded),
                repaired_bytes=encoded.repaired,
                left_out=work.left_out,
                verified_documents=encoded.verified_documents,
                verified_bytes=encoded.verified_bytes,
            )
            self._taken = self._taken.plus(count)
            self._learned = encoded.learned
            slot = work.task.slot
            self._sink.put(
                slot,
                EncodedPiece(
                    tokens=self._slots.tokens(slot, encoded.tokens),
                    ends=self._slots.ends(slot, encoded.documents) if self._job.with_ends else None,
                    split=work.split,
                    count=count,
                    position=work.position,
                ),
            )
            self._next += 1

    def _bury(self, encoder: Child) -> None:
        """An encoder died: do its pieces again, more carefully."""
        was_ready = encoder.ready
        lost, others = self._encoders.bury(encoder)
        restarts, status = self._encoders.restarts, self._encoders.last_status
        if not was_ready and not lost and restarts > _ATTEMPTS:
            raise WorkerFailed(f"encoders cannot start (exit status {status})", do="its message is above")
        for work in lost:
            work.attempts += 1
            if work.attempts >= _ATTEMPTS:
                raise self._piece_error(work, status)
        if self._oom_kills() or restarts > _ATTEMPTS:
            self._encoders.allowed = 1
        self._ready.extendleft(sorted(lost + others, key=lambda work: -work.number))

    def _piece_error(self, work: Work, status: int | None) -> OomguardError:
        where = work.where(0, self._taken.documents)
        if kills := self._oom_kills():
            return BudgetTooSmall(
                f"{where}: the {format_size(work.task.size)} there do not fit in the budget "
                f"({kills} processes were ended by the kernel)",
                do=f"--max-rss {2 * self._governor.budget // (1 << 20)}M",
            )
        return WorkerFailed(
            f"{where}: the encoder ended {_ATTEMPTS} times (exit status {status})",
            do="its message is above; please report it with the text from there",
        )

    def _follow_advice(self) -> None:
        advice = self._governor.advise()
        if advice == "more":
            self._encoders.one_more()
        elif advice == "fewer":
            self._encoders.one_less()
        elif advice == "renew":
            self._encoders.exchange_largest()
