"""Keeps what is known of a profiled tree in memory, and in its recording: whole, however early that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.kernel.proc.files import ProcFiles
from oomguard.profiling.recording.events import Peaks, RecordingEnd, RecordingHead, SeenProcess, event_line
from oomguard.profiling.recording.file import RecordingFile
from oomguard.profiling.rules.peaks import PeakClocks
from oomguard.profiling.rules.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from oomguard.profiling.recording.events import Event, ForecastMade, StageMark
    from oomguard.supervision.growth.model import GrownLine, MemorySample

_MOST_PROCESSES = 2000
_MOST_MARKS = 2000


class Recorder:
    """Takes what is seen, in its order. close() it."""

    def __init__(
        self,
        head: RecordingHead,
        path: Path,
        *,
        fill_rate: float,
        lines: Callable[[], tuple[GrownLine, ...]],
        refusals: Callable[[], Iterable[str]],
    ) -> None:
        """Begin a recording. `lines` and `refusals` give which lines grew so far, and what could not be read.

        Raises: BadInput if the file cannot be written.
        """
        self._head = head
        self._lines = lines
        self._refusals = refusals
        self._clocks = PeakClocks(fill_rate)
        self._timeline = Timeline()
        self._proc = ProcFiles()
        self._seen: dict[int, SeenProcess] = {}
        self._marks: list[StageMark] = []
        self._forecast: ForecastMade | None = None
        self._end: RecordingEnd | None = None
        self._written: tuple[Peaks, tuple[GrownLine, ...]] = (self._clocks.told(), ())
        self._file = RecordingFile(path, anew=lambda: map(event_line, self.events()))
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

    def close(self, end: RecordingEnd) -> None:
        """The job has ended, or nobody watches it any longer."""
        self.write_peaks()
        self._end = end
        self._write(end)
        self._file.close()

    def events(self) -> Iterator[Event]:
        """All that is known, as a recording keeps it."""
        yield self._head
        yield from self._seen.values()
        yield from self._timeline
        yield from self._marks
        yield self._clocks.told()
        yield self._lines()
        if self._forecast is not None:
            yield self._forecast
        yield from sorted(self._refusals())
        if self._file.lost_some:
            yield "the recording is not whole: its disk is full"
        if self._end is not None:
            yield self._end

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
