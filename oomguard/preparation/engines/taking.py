"""What the workers answer, taken in the order of the input: counted, checked, and put into the sink."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.preparation.engines.bad_files import FileLedger
from oomguard.preparation.engines.encoded_pieces import count_of, piece_of
from oomguard.preparation.engines.problems import Fault, text_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from oomguard.errors import OomguardError
    from oomguard.preparation.engines.messages import Encoded
    from oomguard.preparation.engines.run import Run
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.writing.token_sink import EncodedPiece, Totals

NO_SLOT = -1  # of a piece that comes from no worker


class Taker:
    """Waits for the chunk that is next, whatever came before it."""

    def __init__(
        self,
        run: Run,
        position: dict[str, Any],
        totals: Totals,
        *,
        put: Callable[[int, EncodedPiece], None],
        free: Callable[[list[int]], None],
        leave: Callable[[int], None],
        lines_before: Callable[[], int],
    ) -> None:
        """Begin at a position. `put` and `free` take slots, `leave` a source that is not continued."""
        self.next = 0  # the number of the chunk that is taken next
        self.taken = replace(totals)
        self.rests: dict[int, Work] = {}  # by the slot that they take up again once it is written
        self._job = run.job
        self._slots = run.workers.slots
        self._put = put
        self._free = free
        self._leave_source = leave
        self._lines_before = lines_before
        self._results: dict[int, tuple[Work, Encoded] | Fault] = {}
        self._files = FileLedger(run.job, position)
        self._source: int = position["source"]
        self._line: int = (position.get("resume") or {}).get("line") or 1  # of what comes next

    @property
    def is_waiting(self) -> bool:
        """Whether something is here that is not next."""
        return bool(self._results)

    def add(self, results: dict[int, Any]) -> None:
        """By their numbers: each the work and its answer, or what stands in its place."""
        self._results.update(results)

    def take(self) -> None:
        """Take all that is next. Raises: what is wrong with the input, unless its file is left."""
        while (result := self._results.pop(self.next, None)) is not None:
            if isinstance(result, Fault):
                self.next += 1
                if not self._files.is_left(result.source):
                    self._leave(result.source, result.make(self.line_now()))
                continue
            work, encoded = result
            slot = work.task.slot
            if self._files.is_left(work.source):
                self.next += 1
                self._free([slot])
                continue
            if work.source != self._source:
                self.require_enough()
                self._source, self._line = work.source, 1
                self._files.begin(work.source)
            is_last = work.position["source"] > work.source
            error: OomguardError | None = self._files.too_much_left_out(
                encoded.left_out, encoded.documents, at_end=is_last
            )
            if encoded.error is not None:
                error = text_error(self._job, work, encoded, documents=self.documents_before(), line=self.line_now())
            if error is not None and not self._files.may_leave(error):
                raise error
            self._line += encoded.lines
            rest = work.rest_after(encoded.rows) if error is None else None
            count = count_of(work, encoded)
            self.taken = self.taken.plus(count)
            self._files.count(work, count.documents, encoded.left_out, is_open=encoded.is_open and not is_last)
            position = self._position_behind(work) if rest is None else rest.position_before
            piece = piece_of(
                self._job, self._slots, work, encoded, count=count, position=self._files.with_counts(position),
                is_whole=error is None,
            )  # fmt: skip
            if error is not None:
                piece = self._files.leave(work.source, error, piece)
                self._leave_source(work.source)
            self._put(slot, piece)
            if rest is None:
                self.next += 1
            else:
                self.rests[slot] = rest

    def line_now(self) -> int:
        """The number of the next line in its file."""
        return self._lines_before() + self._line

    def documents_before(self) -> int | None:
        """How many documents of the input came before; None: other units have them."""
        return self.taken.documents if self._job.text_files is None else None

    def _leave(self, source: int, error: OomguardError) -> None:
        """Go on behind a file, if that was asked for. Raises: the error, if not."""
        if not self._files.may_leave(error):
            raise error
        piece = self._files.leave(source, error)
        self.taken = self.taken.plus(piece.count)
        self._put(NO_SLOT, piece)
        self._leave_source(source)

    def require_enough(self) -> None:
        """At the end of a file: not most of it was left out. Raises: BadInput."""
        error = self._files.too_much_left_out(at_end=True)
        if error is not None and not self._files.is_left(self._source):
            self._leave(self._source, error)

    def _position_behind(self, work: Work) -> dict[str, Any]:
        if work.task.kind == "lines" and "resume" in work.position:
            return {**work.position, "resume": {**work.position["resume"], "line": self._line}}
        return work.position
