"""Watches which line each process is in while it grows: stacks are read when there is growth to charge."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.proc import ProcFiles
from oomguard.stacks.cpython import PythonFrames
from oomguard.stacks.pystack import is_python
from oomguard.stacks.sampler import StackSampler
from oomguard.stacks.source import SourceFiles, read_source_line
from oomguard.supervision.growth.line_growth import CallTable, LineGrowth, largest_lines
from oomguard.supervision.model import LINES_KEPT, GrownLine
from oomguard.supervision.rules.user_code import with_users_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.supervision.model import GrownStack, MemorySample, ProcessMemory

_LEAST_GROWTH = 1 << 18  # bytes: less waits until it is more
_LEAST_PART = 4096  # of the peak
_JUMP_PART = 16  # of the peak: so much growth is charged at once, whatever a stack costs
_STACKS_PART = 10  # stacks take at most one part of so many of the time
_STACKS_AT_A_LOOK = 16  # 0.1 ms each
_LONGEST_COST = 0.01  # seconds of a stack: the rest of the time it took, it waited for a CPU
# Seconds, after which a process that could not be read is tried again.
_FIRST_PATIENCE, _STARTING, _LAST_PATIENCE = 0.01, 0.16, 30.0
_NEAR_PEAK = 0.97
HELD_BEFORE = "held before the first sample"


@dataclass(slots=True)
class _Refused:
    until: float
    patience: float
    starts: bool  # an interpreter, perhaps: what it grows by is charged when it can be read
    why: str


class GrowthWatch:
    """Takes samples in order. close() it."""

    def __init__(self, *, from_start: bool = True, root: Path = Path("/")) -> None:
        """Watch the processes of the machine at `root`; what they hold at first is no growth unless `from_start`."""
        self._from_start = from_start
        self._growth = LineGrowth[int]()
        self._calls = CallTable(read_source_line)
        self._frames = PythonFrames(root)
        self._files = SourceFiles(root)
        self._stacks = StackSampler()  # for the others
        self._proc = ProcFiles(root)
        self._next_stack = self._asked_at = 0.0
        self._asked_size = 0
        self._refused: dict[int, _Refused] = {}
        self._seen: tuple[ProcessMemory, ...] = ()
        self._not_charged = 0  # how much the tree grew that no line has yet
        self._last_unreclaimable = 0
        self._peak = 0
        self._awake: tuple[dict[int, int], dict[int, int]] | None = None  # of the peak that is noted: what is known

    def take(self, sample: MemorySample) -> None:
        """Charge what grew since the sample before."""
        self._take_answer()
        if sample.processes is self._seen:
            return  # the processes were not looked at
        self._seen = sample.processes
        self._peak = max(self._peak, sample.unreclaimable)
        grown, shrunk = self._changes(sample)
        # Memory that is shared grows in each of its processes, and in the tree once: no more than that is charged.
        self._not_charged = max(0, self._not_charged + sample.unreclaimable - self._last_unreclaimable + shrunk)
        self._last_unreclaimable = sample.unreclaimable
        self._ask(grown)
        alive = {process.pid for process in sample.processes}
        self._growth.keep_only(alive)
        self._frames.keep_only(alive)
        if sample.unreclaimable >= _NEAR_PEAK * self._peak:
            self._growth.note_peak()

    def lines(self) -> tuple[GrownLine, ...]:
        """The lines that held most at the peak, the largest first."""
        largest = largest_lines(self._calls.by_line(self._at_peak()), LINES_KEPT)
        return tuple(
            GrownLine(
                file=line.file,
                line=line.line,
                function=line.function,
                source=self._calls.sources.get((line.file, line.line), ""),
                grew_bytes=size,
            )
            for line, size in largest
        )

    def stacks(self) -> tuple[GrownStack, ...]:
        """The stacks that held most at the peak, the largest first."""
        return self._calls.told(self._at_peak())

    def _at_peak(self) -> dict[int, int]:
        """What each stack held at the peak: found once for each peak, as it takes a while of many stacks."""
        if self._awake is None or self._awake[0] is not self._growth.at_peak:
            self._awake = self._growth.at_peak, self._calls.awake(self._growth.at_peak)
        return self._awake[1]

    def refusals(self) -> set[str]:
        """Why stacks could not be read, for people."""
        return {refused.why for refused in self._refused.values() if refused.why}

    def close(self) -> None:
        """End the readers of stacks."""
        self._frames.close()
        self._stacks.close()

    def _changes(self, sample: MemorySample) -> tuple[list[tuple[int, ProcessMemory]], int]:
        grown, shrunk = [], 0
        for process in sample.processes:
            if process.pid == 0:
                continue  # the rest of a large tree, put together
            known = self._growth.size(process.pid)
            if known is None and not self._from_start:
                known = process.growing
                self._growth.take(process.pid, known, self._calls.number((), HELD_BEFORE, process.pid))
            elif known is None:
                # A fork begins with its parent's pages.
                known = min(process.growing, self._growth.size(self._parent(process.pid)) or 0)
                self._growth.take(process.pid, known, None, not_new=known)
            if process.growing < known:
                shrunk += known - process.growing
                self._growth.take(process.pid, process.growing, None)
            elif process.growing > known:
                grown.append((process.growing - known, process))
        self._from_start = True
        return sorted(grown, key=lambda one: -one[0]), shrunk

    def _ask(self, grown: list[tuple[int, ProcessMemory]]) -> None:
        """Ask for the stack of what grew most; what cannot be read is charged to its program."""
        least = max(_LEAST_GROWTH, self._peak // _LEAST_PART)
        now = time.monotonic()
        for size, process in grown[:_STACKS_AT_A_LOOK]:  # the others are larger next time
            if size < least:
                return
            if self._charge_at_once(process, now):
                continue
            refused = self._refused.get(process.pid)
            if refused is not None and now < refused.until:
                if refused.starts:
                    continue  # an interpreter that starts can be read soon
                self._charge(process.pid, process.growing, self._number((), process.pid))
            elif (now >= self._next_stack or size >= self._peak // _JUMP_PART) and self._stacks.ask(process.pid):
                self._asked_size, self._asked_at = process.growing, now

    def _charge_at_once(self, process: ProcessMemory, now: float) -> bool:
        """Charge what can be read in no time, as most can."""
        refused = self._refused.get(process.pid)
        if refused is not None and now < refused.until:
            return False
        frames = self._files.named(process.pid, self._frames.read(process.pid))
        if frames is None and is_python(process.pid):
            return False  # one that pystack may know
        if not frames:
            self._refuse(process.pid, now)
            return True
        self._refused.pop(process.pid, None)
        whole = with_users_line(frames, partial(self._main_thread, process.pid))
        self._charge(process.pid, process.growing, self._number(whole, process.pid))
        return True

    def _main_thread(self, pid: int) -> list[tuple[str, int, str]]:
        return self._files.named(pid, self._frames.read_main(pid)) or []

    def _take_answer(self) -> None:
        answer = self._stacks.answer()
        if answer is None:
            return
        pid, frames = answer
        now = time.monotonic()
        self._next_stack = now + _STACKS_PART * min(now - self._asked_at, _LONGEST_COST)
        if frames:
            self._refused.pop(pid, None)
        else:
            self._refuse(pid, now)
            if self._refused[pid].starts:
                return
        if (self._growth.size(pid) or 0) < self._asked_size:
            self._charge(pid, self._asked_size, self._number(frames, pid))

    def _refuse(self, pid: int, now: float) -> None:
        before = self._refused.get(pid)
        patience = min(_LAST_PATIENCE, 2 * before.patience) if before is not None else _FIRST_PATIENCE
        python = is_python(pid)
        starts = patience <= _STARTING and python
        self._refused[pid] = _Refused(now + patience, patience, starts, self._stacks.refused if python else "")

    def _number(self, frames: Sequence[tuple[str, int, str]], pid: int) -> int:
        return self._calls.number(frames, self._program(pid), pid)

    def _charge(self, pid: int, size: int, stack: int) -> None:
        before = self._growth.size(pid)
        if before is None:
            return  # it ended
        new = min(size - before, self._not_charged)
        self._growth.take(pid, size, stack, not_new=size - before - new)
        self._not_charged -= new

    def _program(self, pid: int) -> str:
        stat = self._proc.stat(pid)
        return stat.name if stat is not None else "a process that ended"

    def _parent(self, pid: int) -> int:
        stat = self._proc.stat(pid)
        return stat.parent_pid if stat is not None else 0
