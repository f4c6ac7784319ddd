"""Where pieces come from: plain text files, cut right here, and all else through the reader process."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING, Any

from oomguard import errors
from oomguard.errors import BudgetTooSmall, OomguardError, WorkerFailed
from oomguard.kernel.proc.open_files import file_position
from oomguard.preparation.engines.children import Child, start_child
from oomguard.preparation.engines.messages import EncodeTask
from oomguard.preparation.engines.work import PlainFeed, Work
from oomguard.preparation.reading.sources import require_unchanged
from oomguard.text import printable
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.engines.governor import Governor
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.job import Job

_GRANTED = 3  # slots the reader fills ahead
_ATTEMPTS = 3
_ROOM_LOOKS, _ROOM_SECONDS = 50, 0.05


class Intake:
    """Numbers the pieces of all sources in order and owns the free slots."""

    def __init__(
        self,
        job: Job,
        slots: Slots,
        selector: selectors.BaseSelector,
        governor: Governor,
        *,
        position: dict[str, Any],
    ) -> None:
        self.numbered = 0
        self._job = job
        self._slots = slots
        self._selector = selector
        self._governor = governor
        self._free = list(range(slots.layout.slots))
        self._index: int = position["source"]
        self._resume: dict[str, Any] = position
        self._feed: PlainFeed | None = None
        self._reader: Child | None = None
        self._reading = False
        self._granted: set[int] = set()
        self._large: set[int] = set()  # slots that hold an unusually long piece
        self._need: dict[str, Any] | None = None
        self._by_turns = False  # reader and encoders do not fit beside each other: one, then the other
        self._alone = False  # the next start of the reader waits until nothing else holds memory
        self._deaths = 0
        self._arrived: list[Work] = []
        self._failures: dict[int, OomguardError] = {}
        self._failed = False

    @property
    def is_done(self) -> bool:
        """Whether everything there is has been handed out."""
        return self._failed or (self._index >= len(self._job.sources) and not self._arrived)

    def collect(self, *, busy: bool, make_room: Callable[[], None]) -> tuple[list[Work], dict[int, OomguardError]]:
        """Give the pieces that are there now, and by number what stands in the place of one.

        `busy`: pieces are being encoded. `make_room` ends the encoders, which is called only when none is.
        """
        while not self._failed and self._index < len(self._job.sources):
            source = self._job.sources[self._index]
            try:
                more = self._cut_plain() if source.seekable_text else self._drive_reader(busy, make_room)
            except OomguardError as error:
                self._fail(error)
                break
            if not more:
                break
        work = []
        if self._failed or not (self._by_turns and self._granted and self._need is None):
            work, self._arrived = self._arrived, []
        failures, self._failures = self._failures, {}
        return work, failures

    def bytes_read(self) -> int:
        """Give how far reading is, in bytes of the files on disk; standard input does not count."""
        sources = self._job.sources
        done = sum(source.size or 0 for source in sources[: self._index])
        if self._feed is not None:
            return done + self._feed.offset
        if self._reading and self._reader is not None:
            done += file_position(self._reader.pid, sources[self._index].path) or 0
        return done

    def free(self, slots: list[int]) -> None:
        """Take back slots that were written."""
        for slot in slots:
            if slot in self._large:
                self._slots.free_pages(slot)  # otherwise its pages serve the next piece: fresh ones cost time
                self._large.discard(slot)
            self._free.append(slot)

    def close(self) -> None:
        """End the reader and take its slots back; close the text that was being cut."""
        if self._feed is not None:
            self._feed.close()
        if self._reader is not None:
            self._selector.unregister(self._reader.channel.connection)
            self._reader.close(kill=True)
        self._reader = None
        self._free += self._granted
        self._granted.clear()

    def _fail(self, error: OomguardError) -> None:
        self._failures[self.numbered] = error
        self.numbered += 1
        self._failed = True

    def _next_source(self) -> None:
        self._index += 1
        self._resume = {}
        self._feed = None
        self._reading = False
        self._by_turns = False
        self._deaths = 0

    def _number(self, work: Work) -> None:
        self._arrived.append(work)
        self.numbered += 1
        if work.task.size > 2 * self._job.budget.piece_bytes:
            self._large.add(work.task.slot)

    def _cut_plain(self) -> bool:
        if self._feed is None:
            self._feed = self._job.plain_feed(self._index, offset=self._resume.get("offset", 0))
        feed = self._feed
        while self._free:
            cut = feed.next_task(self._free[-1])
            if cut is None:
                require_unchanged(feed.source)
                self._next_source()
                return True
            self._free.pop()
            task, split, position = cut
            self._number(
                Work(
                    number=self.numbered,
                    task=task,
                    mark=feed.rules.separator,
                    split=split,
                    position=position,
                    goes_on=split == "train" and task.ends_document and "offset" in position,
                    where=lambda into, documents, start=task.offset: feed.where(start, into, documents),  # type: ignore[misc]  # mypy takes no default of a lambda
                )
            )
        return False

    def _drive_reader(self, busy: bool, make_room: Callable[[], None]) -> bool:
        if not self._reading:
            if self._alone:
                if busy:
                    return False
                make_room()
                self._alone = False
            self._start_reading()
        reader = self._reader
        assert reader is not None
        if self._need is not None:
            self._answer_need(reader, busy, make_room)
        if self._by_turns:
            if self._granted or self._arrived or busy:
                return False
            make_room()
        while self._free and (self._by_turns or len(self._granted) < _GRANTED):
            slot = self._free.pop()
            self._granted.add(slot)
            reader.channel.tell({"slot": slot})
        return False

    def _start_reading(self) -> None:
        if self._reader is None:
            config = self._job.reader_config(self._slots)
            self._reader = start_child("reader_process", share=(self._slots.fd,), stdin=config.stdin)
            self._reader.channel.tell(config)
            self._selector.register(self._reader.channel.connection, selectors.EVENT_READ, self._reader)
        self._reader.channel.tell({"read": self._index, "resume": self._resume.get("resume")})
        self._reading = True

    def _answer_need(self, reader: Child, busy: bool, make_room: Callable[[], None]) -> None:
        assert self._need is not None
        size, where = self._need["need"], self._need["where"]
        room = self._governor.room()
        if room < size:
            if busy:
                return  # wait until the encoders are done with what they have
            make_room()
            for slot in (*self._free, *self._granted):
                self._slots.free_pages(slot)
            room = self._wait_for_room(size)
        self._need = None
        if room >= size:
            # What was granted stays granted until the source ends.
            self._by_turns = room - size < self._job.encoder_bytes and not busy
            reader.channel.tell({"granted": True})
            return
        budget = self._governor.budget
        reader.channel.tell(
            {
                "refused": f"{where}: needs {format_size(size)} of memory at once, and {format_size(max(0, room))} "
                f"of the budget of {format_size(budget)} are free",
                "do": f"--max-rss {-(-(budget + size - room) // MIB) + 16}M; what was done so far is kept",
            }
        )

    def _wait_for_room(self, size: int) -> int:
        """Give the room there is once what just ended no longer counts: memory.stat may be two seconds old."""
        for _ in range(_ROOM_LOOKS):
            room = self._governor.room_for_one_step()
            if room >= size:
                break
            time.sleep(_ROOM_SECONDS)
        return room

    def is_reader(self, child: Child) -> bool:
        """Whether this is the reader process."""
        return child is self._reader

    def hear(self, message: dict[str, Any]) -> None:
        """Take a message from the reader."""
        if "slot" in message:
            self._take_piece(message)
        elif "need" in message:
            self._need = message
        elif "error" in message:
            error = message["error"]
            self._fail(getattr(errors, error["class"], OomguardError)(error["what"], do=error["do"]))
        elif "end" in message:
            try:
                require_unchanged(self._job.sources[self._index])
            except OomguardError as error:
                self._fail(error)
                return
            self._next_source()
            if self._index >= len(self._job.sources) or self._job.sources[self._index].seekable_text:
                self.close()

    def _take_piece(self, message: dict[str, Any]) -> None:
        slot = message["slot"]
        self._granted.discard(slot)
        source = self._job.sources[self._index]
        name, place = printable(source.path), message["where"]
        skipped_before = (self._resume.get("resume") or {}).get("skipped", 0)
        self._resume = {"source": self._index, "resume": message["resume"]}
        self._deaths = 0
        self._number(
            Work(
                number=self.numbered,
                task=EncodeTask(
                    slot=slot,
                    size=message["size"],
                    starts_document=message["starts_document"],
                    ends_document=message["ends_document"],
                ),
                mark=self._job.mark_of(source),
                split=self._job.stream_split(source),
                position=dict(self._resume),
                where=lambda _, documents: f"{name}: document {documents + 1} of the input, at or after {place}",
                left_out=message["resume"].get("skipped", 0) - skipped_before,
            )
        )

    def reader_died(self, oom_kills: int) -> None:
        """Start again behind the last piece, alone in the budget; give up in the end."""
        assert self._reader is not None
        self._selector.unregister(self._reader.channel.connection)
        status = self._reader.close()
        self._reader = None
        self._free += self._granted
        self._granted.clear()
        self._need = None
        self._reading = False
        self._deaths += 1
        source = self._job.sources[self._index]
        if self._deaths < _ATTEMPTS and source.path != "-":
            self._alone = True
            return
        place = f"{printable(source.path)}, after {self.numbered} pieces"
        if oom_kills:
            budget = self._governor.budget
            self._fail(
                BudgetTooSmall(
                    f"{place}: what comes next does not fit in the budget of {format_size(budget)} "
                    "(the kernel ended the reader)",
                    do=f"--max-rss {2 * budget // MIB}M; what was done so far is kept",
                )
            )
        else:
            self._fail(
                WorkerFailed(
                    f"{place}: the reader ended (exit status {status})", do="its message is above; please report it"
                )
            )
