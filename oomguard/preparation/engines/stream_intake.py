"""The stream reader, as the coordinator sees it: one process that inflates what only one can inflate, in order."""

from __future__ import annotations

import selectors
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from oomguard import errors
from oomguard.errors import BudgetTooSmall, OomguardError, WorkerFailed
from oomguard.preparation.engines.memory_sum import LINE_COST
from oomguard.preparation.engines.messages import EncodeTask
from oomguard.preparation.engines.work import Work
from oomguard.preparation.engines.worker_pool import Child, start_child
from oomguard.text import printable
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.job import Job
    from oomguard.preparation.reading.source import Source

_GRANTED = 3  # slots the reader fills ahead
_ATTEMPTS = 3


class StreamIntake:
    """Has one source after another read, and turns what comes into work."""

    def __init__(self, job: Job, slots: Slots, selector: selectors.BaseSelector) -> None:
        self.granted: set[int] = set()
        self._job = job
        self._slots = slots
        self._selector = selector
        self._reader: Child | None = None
        self._reading = -1
        self._need: dict[str, Any] | None = None
        self._by_turns = False  # reader and workers take turns: something large is under way
        self._alone = False  # the next start of the reader waits until nothing else is under way
        self._deaths = 0
        self._remote_at = 0  # how far into a file on a server the last chunk was
        self._resume: dict[str, Any] | None = None
        self._last: int | None = None  # the last source that is read as a stream

    def is_reader(self, child: Child) -> bool:
        """Whether this is the reader process."""
        return child is self._reader

    def bytes_read(self, source: Source) -> int:
        """How far into the file it is."""
        if self._reader is None or self._reading < 0:
            return 0
        if source.is_remote:
            return self._remote_at
        from oomguard.kernel.proc.open_files import file_position  # 10 ms, which most jobs need not pay

        return file_position(self._reader.pid, source.path) or 0

    def drive(self, index: int, resume: dict[str, Any] | None, free: list[int], *, busy: bool) -> None:
        """Have source `index` read, and give the reader slots to fill."""
        if self._reading != index:
            if self._alone and busy:
                return
            self._alone = self._by_turns = False
            self._resume = resume
            self._start(index)
        assert self._reader is not None
        if self._need is not None and not busy:
            self._answer_need()
        if self._by_turns and (busy or self.granted):
            return
        while free and len(self.granted) < (1 if self._by_turns else _GRANTED):
            slot = free.pop()
            self.granted.add(slot)
            self._reader.channel.tell({"slot": slot})

    def _start(self, index: int) -> None:
        if self._reader is None:
            config = self._job.reader_config(self._slots)
            self._reader = start_child("reader_process", share=(self._slots.fd,), stdin=config.stdin)
            self._reader.channel.tell(config)
            self._selector.register(self._reader.channel.connection, selectors.EVENT_READ, self._reader)
        source = asdict(self._job.sources[index])
        self._reader.channel.tell({"read": source, "resume": self._resume, "anew": not self.granted})
        self._reading, self._remote_at = index, 0

    def _answer_need(self) -> None:
        assert self._need is not None
        assert self._reader is not None
        size, where, plan = self._need["need"], self._need["where"], self._job.budget
        self._need = None
        if size <= plan.alone:
            self._by_turns = True
            self._reader.channel.tell({"granted": True})
            return
        self._reader.channel.tell(
            {
                "refused": f"{where}: needs {format_size(size)} of memory at once, and {format_size(plan.alone)} "
                f"of the budget of {format_size(plan.budget)} is free",
                "do": f"{self._job.flag_with_room(size)}; what was done so far is kept",
            }
        )

    def receive(self) -> list[dict[str, Any]] | None:
        """Give what the reader says; None: it has ended."""
        assert self._reader is not None
        return self._reader.channel.receive()

    def need(self, message: dict[str, Any]) -> None:
        """It asks for memory: answered when nothing else is under way."""
        self._need = message

    def work_of(self, message: dict[str, Any], number: int) -> Work:
        """Make work of a slot that was filled."""
        slot, size = message["slot"], message["size"]
        self.granted.discard(slot)
        self._deaths = 0
        self._resume = message["resume"]
        source = self._job.sources[self._reading]
        if source.is_remote and message["read_to"] is not None:
            self._remote_at = min(message["read_to"], source.size or 0)
        is_text = message["task"] == "text"
        mark = self._job.resolved.separator.decode("latin-1") if is_text else ""
        large = size > 2 * self._job.budget.piece_bytes
        return Work(
            number=number,
            task=EncodeTask(
                slot=slot,
                kind=message["task"],
                size=size,
                mark=mark,
                field=source.text_field,
                origin=message["origin"],
                starts_document=message["starts_document"],
                ends_document=message["ends_document"],
            ),
            source=self._reading,
            split=message["split"] or self._job.stream_split(source),
            goes_on=message["goes_on"],
            position={"source": self._reading, "resume": message["resume"]},
            name=printable(source.path),
            place=message["where"],
            lines_from=source.begin if source.is_remote else 0,
            member=message["member"],
            read=None if message["read_to"] is None or source.is_remote else (0, message["read_to"]),
            needs=LINE_COST * size if large else 0,
        )

    def end(self) -> list[int]:
        """The source has been read. Gives the slots that are free again.

        The reader stays, as long as there is anything left for it: to start one takes longer than to read a small file.
        """
        index, self._reading = self._reading, -1
        self._by_turns = False
        if self._last is None:
            left = range(len(self._job.sources) - 1, index, -1)
            self._last = next((later for later in left if not self._job.is_cut(later)), index)
        if index >= self._last:
            return self.close()
        if not self._job.is_cut(index + 1):
            return []
        slots, self.granted = list(self.granted), set()
        return slots

    def error_of(self, message: dict[str, Any]) -> OomguardError:
        """What the reader found wrong."""
        error = message["error"]
        if error.get("alone"):
            flag = self._job.flag_with_room(error["alone"])
            return BudgetTooSmall(error["what"], do=f"{flag}, or remove it; what was done so far is kept")
        return getattr(errors, error["class"], OomguardError)(error["what"], do=error["do"])

    def died(self, oom_kills: int, *, numbered: int) -> tuple[list[int], OomguardError | None]:
        """It has ended: give the slots that it had, and what to say where it ended too often.

        It starts again behind the last chunk, alone in the budget.
        """
        assert self._reader is not None
        index, resume = self._reading, self._resume
        self._selector.unregister(self._reader.channel.connection)
        status = self._reader.close()
        self._reader, self._need, self._reading = None, None, -1
        slots, self.granted = list(self.granted), set()
        if index < 0:  # between two files: another one is started for the next
            return slots, None
        self._deaths += 1
        source = self._job.sources[index]
        self._resume = resume
        if self._deaths < _ATTEMPTS and source.path != "-":
            self._alone = True
            return slots, None
        place = f"{printable(source.path)}, after {numbered} chunks"
        if oom_kills:
            budget = self._job.budget.budget
            return slots, BudgetTooSmall(
                f"{place}: what comes next does not fit in the budget of {format_size(budget)} "
                "(the kernel ended the reader)",
                do=f"--max-rss {2 * budget // MIB}M; what was done so far is kept",
            )
        return slots, WorkerFailed(
            f"{place}: the reader ended (exit status {status})", do="its message is above; please report it"
        )

    def forget_resume(self) -> None:
        """The next source is read from its beginning."""
        self._resume = None

    @property
    def resume(self) -> dict[str, Any] | None:
        """Where reading continues after the last chunk that came."""
        return self._resume

    def close(self) -> list[int]:
        """End the reader and give the slots that it had."""
        if self._reader is not None:
            self._selector.unregister(self._reader.channel.connection)
            self._reader.close(kill=True)
        self._reader, self._reading = None, -1
        slots, self.granted = list(self.granted), set()
        return slots
