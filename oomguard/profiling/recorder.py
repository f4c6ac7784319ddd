"""Keeps what is known of a profiled tree in memory, and in its recording: whole, however early that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oomguard.kernel.proc import ProcFiles
from oomguard.profiling.recording import RecordingFile
from oomguard.profiling.recording_lines import (
    HeldByStacks,
    Peaks,
    RecordingEnd,
    RecordingHead,
    SeenCall,
    SeenProcess,
    SeenStack,
    event_line,
)
from oomguard.profiling.rules.rebuild import PeakClocks, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from oomguard.profiling.recording_lines import Event, ForecastMade, StageMark
    from oomguard.supervision.model import GrownCall, GrownLine, GrownStack, MemorySample

_MOST_PROCESSES = 2000
_MOST_MARKS = 2000
_LEAST_PART = 1000  # of what all stacks hold: what holds less is not recorded


class Recorder:
    """Takes what is seen, in its order. close() it."""

    def __init__(
        self,
        head: RecordingHead,
        path: Path,
        *,
        fill_rate: float,
        lines: Callable[[], tuple[GrownLine, ...]],
        stacks: Callable[[], tuple[GrownStack, ...]],
        refusals: Callable[[], Iterable[str]],
    ) -> None:
        """Begin a recording. `lines`, `stacks` and `refusals` give what grew so far, and what could not be read.

        Raises: BadInput if the file cannot be written.
        """
        self._head = head
        self._lines = lines
        self._stacks = stacks
        self._refusals = refusals
        self._clocks = PeakClocks(fill_rate)
        self._timeline = Timeline()
        self._proc = ProcFiles()
        self._seen: dict[int, SeenProcess] = {}
        self._marks: list[StageMark] = []
        self._forecast: ForecastMade | None = None
        self._end: RecordingEnd | None = None
        self._written: tuple[Peaks, tuple[GrownLine, ...]] = (self._clocks.told(), ())
        self._calls: dict[GrownCall, int] = {}  # as numbered in the recording
        self._in_file: set[GrownCall | int] = set()  # calls, and numbers of stacks
        self._held = HeldByStacks(stacks=())
        self._file = RecordingFile(path, anew=self._anew)
        self._write(head)

    def take_sample(self, sample: MemorySample) -> None:
        """A sample, with the processes in it that are new."""
        self._clocks.take(sample)
        self._timeline.add(sample)
        self._write(sample)  # last: a file that is full is written anew with all of them
        for process in sample.processes:
            if process.pid not in self._seen and process.pid and len(self._seen) < _MOST_PROCESSES:
                self._see(process.pid, sample.seconds)

    def take_marks(self, marks: Iterable[StageMark]) -> None:
        """Stages that began or ended."""
        for mark in marks:
            if len(self._marks) < _MOST_MARKS:
                self._marks.append(mark)
                self._write(mark)

    def take_forecast(self, newest: ForecastMade | None, *, write: bool) -> None:
        """The newest forecast; it is written where it is news."""
        self._forecast = newest
        if write and newest is not None:
            self._write(newest)

    def write_peaks(self) -> None:
        """Write the peaks and the lines that grew, if they changed."""
        peaks, lines = self._clocks.told(), self._lines()
        if peaks != self._written[0]:
            self._write(peaks)
        if lines != self._written[1]:
            self._write(lines)
        self._written = (peaks, lines)
        for event in self._stack_events(self._in_file):
            if event != self._held:
                self._write(event)
                self._held = event if isinstance(event, HeldByStacks) else self._held

    def close(self, end: RecordingEnd) -> None:
        """The job has ended, or nobody watches it any longer."""
        self.write_peaks()
        self._end = end
        self._write(end)
        self._file.close()

    def discard(self) -> None:
        """Nothing was recorded: leave no file."""
        self._file.discard()

    def events(self) -> Iterator[Event]:
        """All that is known, as a recording keeps it."""
        yield self._head
        yield from self._seen.values()
        yield from self._timeline
        yield from self._marks
        yield self._clocks.told()
        yield self._lines()
        yield from self._stack_events(set())
        if self._forecast is not None:
            yield self._forecast
        yield from sorted(self._refusals())
        if self._file.lost_some:
            yield "the recording is incomplete: its disk is full"
        if self._end is not None:
            yield self._end

    def _anew(self) -> Iterator[dict[str, Any]]:
        """The lines that stand for all before; a stack that is not among them is written again when it is told of."""
        events = list(self.events())
        self._in_file = {event.number for event in events if isinstance(event, SeenStack)}
        numbers = {event.number for event in events if isinstance(event, SeenCall)}
        self._in_file |= {call for call, number in self._calls.items() if number in numbers}
        return map(event_line, events)

    def _stack_events(self, known: set[GrownCall | int]) -> Iterator[SeenCall | SeenStack | HeldByStacks]:
        """What each stack holds, after the calls and stacks that are not `known` yet."""
        stacks = self._stacks()
        least = sum(stack.grew_bytes for stack in stacks) // _LEAST_PART
        told = [stack for stack in stacks if stack.grew_bytes > least]
        for stack in told:
            if stack.number in known:
                continue
            for call in stack.calls:
                number = self._calls.setdefault(call, len(self._calls))
                if call not in known:
                    known.add(call)
                    yield SeenCall(
                        number=number, file=call.file, line=call.line, function=call.function, source=call.source
                    )
            known.add(stack.number)
            yield SeenStack(number=stack.number, calls=tuple(self._calls[call] for call in stack.calls))
        yield HeldByStacks(stacks=tuple((stack.number, stack.grew_bytes) for stack in told))

    def _see(self, pid: int, seconds: float) -> None:
        stat = self._proc.stat(pid)
        if stat is None:
            return
        command = " ".join(self._proc.command(pid))[:200]
        seen = SeenProcess(seconds=seconds, pid=pid, parent_pid=stat.parent_pid, name=stat.name, command=command)
        self._seen[pid] = seen
        self._write(seen)

    def _write(self, event: Event) -> None:
        self._file.write(event_line(event))
