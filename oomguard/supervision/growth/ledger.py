"""What a job has grown by since it passed half of its budget, by the line of the user's that grew: run's ledger.

Where a job stands when it is held is not always where its memory went: a loop that sleeps after each request leaks in
the request. So from half of the budget on the stack of what grows is read now and then, 0.1 ms each, and the growth is
charged to it. It is the supervisor's own time: under 1 % of a core, and at most a millisecond at once.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_proc_stat
from oomguard.kernel.proc import ProcFiles
from oomguard.stacks.cpython import PythonFrames
from oomguard.stacks.source import SourceFiles
from oomguard.supervision.growth.line_growth import Line, LineGrowth, charged_line, largest_lines
from oomguard.supervision.model import GrownLine
from oomguard.supervision.rules.user_code import only_waits

if TYPE_CHECKING:
    from collections.abc import Sequence

_COST_PART = 125  # it takes at most one part of so many of the time since the job began,
_FIRST_CREDIT_SECONDS, _MOST_CREDIT_SECONDS = 0.01, 0.1  # with so much at the start, and saved up
_LONGEST_LOOK_SECONDS = 0.0005
_SEEKING_COST_SECONDS = 0.0001  # of the supervisor, for each look that is_seeking asked for, at least
_LEAST_PART = 2048  # of the budget: how much the job must have changed by, to be looked at
_LEAST_GROWTH = 1 << 15  # bytes of one process: less waits until it is more
_FIRST_PATIENCE_SECONDS, _LAST_PATIENCE_SECONDS = 0.02, 30.0  # until what could not be read is tried again
_HELD_BEFORE = Line("", 0, "")
_ASLEEP = Line("", -1, "")  # grown while it ran, and seen asleep, or not to be read just then: where is not known
_KNOWN_PART = 40  # of the growth: where less was seen, nothing is said
_KEPT = 5


class GrowthLedger:
    """Takes looks in order. close() it. Raises: nothing."""

    def __init__(self, budget: int, began: float, root: Path = Path("/")) -> None:
        """For a job with this `budget`, in bytes, that began at `began` on the monotonic clock."""
        self._least_change = budget // _LEAST_PART
        self._credit_seconds, self._credit_at = _FIRST_CREDIT_SECONDS, began
        self._proc = ProcFiles(root)
        self._growth = LineGrowth[Line]()
        self._refused: dict[int, tuple[float, float]] = {}  # pid -> until when, and how long
        self._read: set[int] = set()  # whose stack could be read
        self._next = 0  # of the processes
        self._first: int | None = None  # what the job held when it was first looked at
        self._last = 0
        self._not_charged = 0  # how much the job grew by that no line has yet
        self._charged_asleep = self._charged_awake = 0  # how much, since the first look
        self._where: dict[Line, int] = {}  # a process that grew there
        self._last_grown = 0  # the process
        self._glimpse: tuple[int, Line] | None = None  # where it was, seen as soon as the kernel told of growth
        self.frames = PythonFrames(root)
        self.sources = SourceFiles(root)

    @property
    def since(self) -> int:
        """How much the job has grown by since the first look. Units: bytes."""
        return 0 if self._first is None else max(0, self._last - self._first)

    @property
    def is_seeking(self) -> bool:
        """Whether the job was only met asleep while it grew: looked at more often, it is soon met where it grows."""
        return self._charged_asleep > self._charged_awake * _KNOWN_PART and self._credit_seconds > 0

    def glimpse(self) -> None:
        """The job grows just now, and was only met asleep so far: see where, before anything else is measured.

        To take 1 MiB takes a fifth of a millisecond, and so does it to measure the job and to list its processes.
        """
        if not self._last_grown or not self.is_seeking:
            return
        cpu = time.thread_time()
        line = self._line(self._last_grown)
        self._glimpse = (self._last_grown, line) if line.line > 0 else None
        self._credit_seconds -= time.thread_time() - cpu

    def look(self, pids: Sequence[int], unreclaimable: int, *, spent_seconds: float = 0.0) -> None:
        """Look at some of the job's processes, if there is time for it, and something to see.

        To measure the job and to list its processes has taken `spent_seconds` of CPU time: with hundreds of processes
        that no cgroup sums up, more than a stack. How long it waited for the kernel meanwhile is no cost.
        """
        now = time.monotonic()
        credit = self._credit_seconds + (now - self._credit_at) / _COST_PART
        credit -= max(_SEEKING_COST_SECONDS, spent_seconds) if self.is_seeking else 0.0
        self._credit_seconds, self._credit_at = min(credit, _MOST_CREDIT_SECONDS), now
        if self._credit_seconds <= 0 or (
            self._first is not None and abs(unreclaimable - self._last) < self._least_change
        ):
            self._glimpse = None
            return
        cpu = time.thread_time()
        self._look(pids, unreclaimable, until=time.monotonic() + _LONGEST_LOOK_SECONDS)
        self._credit_seconds -= time.thread_time() - cpu

    def finish(self, pids: Sequence[int], unreclaimable: int) -> None:
        """The job stands still: look at all of it, whatever that takes."""
        if self._first is not None:
            self._look(pids, unreclaimable, until=float("inf"))

    def lines(self) -> tuple[GrownLine, ...]:
        """Where it grew, the largest first; what it held before is left out. Line 0: a program that runs no Python."""
        held = self._growth.now()
        held.pop(_HELD_BEFORE, None)
        asleep = held.pop(_ASLEEP, 0)
        known = sum(held.values())
        if known * _KNOWN_PART < self.since:
            return ()
        # What was not seen grew where the rest did, as the moments at which it is looked at are any; but one process
        # may have given back what another took, and all together they grew by no more than the job.
        total = min(known + asleep, self.since)
        now = {line: size * total // known for line, size in held.items()}
        return tuple(
            GrownLine(
                file=line.file,
                line=line.line,
                function=line.function,
                source=self.sources.line(self._where.get(line, 0), line.file, line.line),
                grew_bytes=size,
            )
            for line, size in largest_lines(now, _KEPT)
            if size
        )

    def close(self) -> None:
        """Let go of the processes."""
        self.frames.close()

    def _look(self, pids: Sequence[int], unreclaimable: int, *, until: float) -> None:
        is_first = self._first is None
        self._not_charged = max(0, self._not_charged + unreclaimable - self._last) if not is_first else 0
        if is_first:
            self._first = unreclaimable
        self._last = unreclaimable
        grown: list[tuple[int, int, int]] = []
        for step in range(len(pids)):  # as many as there is time for; the next time, the others
            pid = pids[(self._next + step) % len(pids)]
            self._take_size(pid, grown, is_first=is_first)
            if time.monotonic() > until:
                self._next = (self._next + step + 1) % len(pids)
                break
        for _, pid, size in sorted(grown, reverse=True):
            self._charge(pid, size)
            if time.monotonic() > until:
                break  # the others are larger next time
        self._glimpse = None
        alive = set(pids)
        self._growth.keep_only(alive)
        self.frames.keep_only(alive)
        self._read &= alive

    def _take_size(self, pid: int, grown: list[tuple[int, int, int]], *, is_first: bool) -> None:
        size = self._proc.unreclaimable_bound(pid)
        if size is None:
            return
        known = self._growth.size(pid)
        if known is None and is_first:
            self._growth.take(pid, size, _HELD_BEFORE)
        elif known is None:
            stat = self._proc.stat(pid)  # a fork begins with its parent's pages
            known = min(size, self._growth.size(stat.parent_pid) or 0) if stat is not None else size
            self._growth.take(pid, known, None, not_new=known)
        if known is None:
            return
        if size < known:
            self._growth.take(pid, size, None)
            self._not_charged += known - size  # what it gave back, another took
        elif size - known >= _LEAST_GROWTH:
            grown.append((size - known, pid, size))

    def _charge(self, pid: int, size: int) -> None:
        before = self._growth.size(pid) or 0
        # Memory that is shared grows in each of its processes, and in the job once: no more than that is charged.
        new = min(size - before, self._not_charged)
        seen, self._glimpse = self._glimpse, None
        line = seen[1] if seen is not None and seen[0] == pid else self._line(pid)
        self._last_grown = pid
        if line == _ASLEEP:
            self._charged_asleep += new
        else:
            self._charged_awake += new
        if line.line > 0:
            self._where.setdefault(line, pid)
        self._growth.take(pid, size, line, not_new=size - before - new)
        self._not_charged -= new

    def _line(self, pid: int) -> Line:
        now = time.monotonic()
        stat = self._proc.stat(pid)
        program = stat.name if stat is not None else ""
        until, patience = self._refused.get(pid, (0.0, _FIRST_PATIENCE_SECONDS))
        if now < until:
            return Line(program, 0, "")
        slept = self._sleeps(pid)
        frames = self.frames.read(pid)
        if not frames and pid in self._read:
            return _ASLEEP  # it runs Python, and went on while it was read
        if not frames:
            self._refused[pid] = (now + patience, min(2 * patience, _LAST_PATIENCE_SECONDS))
            return Line(program, 0, "")
        self._read.add(pid)
        if slept or self._sleeps(pid):
            return _ASLEEP
        named = self.sources.named(pid, frames) or list(frames)
        line = charged_line(named, program)
        # Woken, it waits for a CPU, and stands where it slept: in the user's line, or in a library's.
        places = {(line.file, line.line), named[0][:2]}
        return _ASLEEP if any(only_waits(self.sources.line(pid, *place)) for place in places) else line

    def _sleeps(self, pid: int) -> bool:
        """Whether the thread that was looked at sleeps: then what grew did so before, elsewhere."""
        thread = self.frames.thread(pid)  # in a forked child of 3.11 it is still called as in its parent
        stat = parse_proc_stat(self._proc.read(f"{pid}/task/{thread}/stat")) or self._proc.stat(pid)
        return stat is not None and stat.state in "ST"
