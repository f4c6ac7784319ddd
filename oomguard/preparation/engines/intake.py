"""Where chunks come from: files of which any part can be read are cut by feeds, all else is read as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oomguard.errors import BudgetTooSmall, OomguardError
from oomguard.preparation.engines.bad_files import Fault
from oomguard.preparation.engines.line_feed import LineTooLong
from oomguard.preparation.engines.memory_sum import LINE_COST
from oomguard.preparation.engines.stream_intake import StreamIntake
from oomguard.preparation.reading.source import require_unchanged
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable

    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.work import Feed, Work
    from oomguard.preparation.engines.worker_pool import Child
    from oomguard.preparation.job import Job

    Failure = Callable[[int], OomguardError]  # the number of the next line -> what is wrong


class Intake:
    """Numbers the chunks of all sources in order and owns the free slots."""

    def __init__(
        self,
        job: Job,
        slots: Slots,
        selector: selectors.BaseSelector,
        *,
        position: dict[str, Any],
        ask_plan: Callable[[dict[str, Any]], None],
    ) -> None:
        self.numbered = 0
        self.notes: list[str] = []  # of sources that were read to their end
        self.stream = StreamIntake(job, slots, selector)
        self._job = job
        self._slots = slots
        self._free = list(range(slots.layout.slots))
        self._index: int = position["source"]
        self._bytes_behind = sum(source.size or 0 for source in job.sources[: self._index])
        self._position = position
        self._ask_plan = ask_plan
        self._feed: Feed | None = None
        self._large: set[int] = set()  # slots that hold an unusually long chunk
        self._arrived: list[Work] = []
        self._failures: dict[int, Fault] = {}
        self._failed = False

    @property
    def is_done(self) -> bool:
        """Whether everything there is has been handed out."""
        return self._failed or (self._index >= len(self._job.sources) and not self._arrived)

    def collect(self, *, busy: bool) -> tuple[list[Work], dict[int, Fault]]:
        """Give the chunks that are there now, and by number what stands in the place of one."""
        while not self._failed and self._index < len(self._job.sources):
            try:
                more = self._cut() if self._job.is_cut(self._index) else self._drive(busy=busy)
            except OomguardError as error:
                self._fail(lambda _, error=error: error)  # type: ignore[misc]  # mypy takes no default of a lambda
                break
            if not more:
                break
        work, self._arrived = self._arrived, []
        failures, self._failures = self._failures, {}
        return work, failures

    def bytes_read(self) -> int:
        """Give how far reading is, in bytes of the files on disk; standard input does not count."""
        sources = self._job.sources
        done = self._bytes_behind
        if self._feed is not None:
            return done + self._feed.offset
        if self._index < len(sources):
            done += self.stream.bytes_read(sources[self._index])
        return done

    def free(self, slots: list[int]) -> None:
        """Take back slots that were written."""
        for slot in slots:
            if slot in self._large:
                self._slots.free_pages(slot)  # otherwise its pages serve the next chunk: fresh ones cost time
                self._large.discard(slot)
            self._free.append(slot)

    def close(self) -> None:
        """End the reader and take its slots back; close the file that was being cut."""
        if self._feed is not None:
            self._feed.close()
        self._free += self.stream.close()

    def planned(self, message: dict[str, Any]) -> None:
        """Take the plan of a parquet file's rows."""
        if self._feed is None or self._feed.index != message["planned"]:
            return
        if "error" in message:
            error = self.stream.error_of(message)
            self._fail(lambda _: error)
            return
        self._feed.planned(message)  # type: ignore[attr-defined]  # a RowFeed: no other asks

    def plan_lost(self, index: int) -> None:
        """The worker that was to make one has ended."""
        if self._feed is not None and self._feed.index == index:
            self._feed.plan_lost()  # type: ignore[attr-defined]  # a RowFeed: no other asks

    def _fail(self, failure: Failure) -> None:
        self._failures[self.numbered] = Fault(self._index, failure)
        self.numbered += 1
        self._failed = True

    def leave(self, source: int) -> None:
        """Go on behind a source, whatever is left of it."""
        if self._index != source:
            return  # it was handed out to its end
        if self._feed is not None:
            self._feed.close()
        else:
            self._free += self.stream.close()
        self.stream.forget_resume()
        self._bytes_behind += self._job.sources[source].size or 0
        self._index, self._position, self._feed, self._failed = source + 1, {}, None, False

    def _next_source(self) -> None:
        source = self._job.sources[self._index]
        require_unchanged(source)
        self._bytes_behind += source.size or 0
        self._index += 1
        self._position = {}
        self._feed = None

    def _number(self, work: Work) -> None:
        self._arrived.append(work)
        self.numbered += 1
        if work.needs:
            self._large.add(work.task.slot)

    def _cut(self) -> bool:
        if self._feed is None:
            self._feed = self._job.feed(self._index, self._position, self._ask_plan)
        feed = self._feed
        while not feed.is_done:
            if not self._free:
                return False
            try:
                work = feed.next_work(self.numbered, self._free[-1])
            except LineTooLong as long:
                self._fail(self._too_long(long.size))
                return False
            if work is None:
                return False
            self._free.pop()
            self._number(work)
        feed.close()
        self._next_source()
        return True

    def _too_long(self, size: int) -> Failure:
        name, plan = printable(self._job.sources[self._index].path), self._job.budget
        need = format_size(LINE_COST * size)

        def failure(line: int) -> OomguardError:
            return BudgetTooSmall(
                f"{name}: line {line} is {format_size(size)} long and needs {need} of memory to read; "
                f"the longest that fits here is {format_size(plan.largest_document)}",
                do=f"{self._job.flag_with_room(LINE_COST * size)}, or remove line {line}",
            )

        return failure

    def _drive(self, *, busy: bool) -> bool:
        resume = self.stream.resume if self.stream.resume is not None else self._position.get("resume")
        self.stream.drive(self._index, resume, self._free, busy=busy or bool(self._arrived))
        return False

    def hear_stream(self, oom_kills: Callable[[], int]) -> None:
        """Take what the stream reader says."""
        messages = self.stream.receive()
        if messages is None:
            slots, error = self.stream.died(oom_kills(), numbered=self.numbered)
            self._free += slots
            if error is not None:
                self._fail(lambda _, error=error: error)  # type: ignore[misc]  # mypy takes no default of a lambda
            return
        for message in messages:
            if "slot" in message:
                self._number(self.stream.work_of(message, self.numbered))
            elif "need" in message:
                self.stream.need(message)
            elif "error" in message:
                error = self.stream.error_of(message)
                self._fail(lambda _, error=error: error)  # type: ignore[misc]  # mypy takes no default of a lambda
            elif "end" in message:
                self.notes += message["notes"]
                self._end_of_stream()

    def _end_of_stream(self) -> None:
        try:
            self._next_source()
        except OomguardError as error:
            self._fail(lambda _, error=error: error)  # type: ignore[misc]  # mypy takes no default of a lambda
            return
        self.stream.forget_resume()
        self._free += self.stream.end()

    def is_reader(self, child: Child) -> bool:
        """Whether this is the stream reader."""
        return self.stream.is_reader(child)
