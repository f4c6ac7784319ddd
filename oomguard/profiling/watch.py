"""Looks at a tree of processes as long as it runs, and records what there is to see of its memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oomguard.kernel.proc.files import ProcFiles
from oomguard.profiling.inputs import InputWatch
from oomguard.profiling.recording.events import Peaks, RecordingEnd, RecordingHead, SeenProcess, event_line
from oomguard.profiling.recording.file import RecordingFile
from oomguard.profiling.rules.peaks import PeakClocks
from oomguard.profiling.rules.step import SamplingStep
from oomguard.profiling.rules.timeline import Timeline
from oomguard.profiling.sampler import MemorySampler, measure_fill_rate
from oomguard.supervision.growth.watch import GrowthWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from oomguard.profiling.cgroup_clock import MemcgClock
    from oomguard.profiling.model import MemorySample
    from oomguard.profiling.recording.events import Event, GrownLine, StageMark
    from oomguard.profiling.stage_file import StageFile

_PEAKS_SECONDS = 0.5
_MOST_PROCESSES = 2000
_MOST_MARKS = 2000


class JobWatch:
    """Call look() as often as it says, then end()."""

    def __init__(
        self,
        head: RecordingHead,
        path: Path,
        *,
        pids: Callable[[], list[int]],
        clock: MemcgClock | None,
        stages: StageFile | None,
        began: float,
        from_start: bool = True,
    ) -> None:
        """Begin a recording. `began`: the monotonic clock at time zero; `from_start`: the program begins with it.

        Raises: BadInput if the file cannot be written.
        """
        self._head = head
        self._pids = pids
        self._clock = clock
        self._stages = stages
        self._began = began
        self._sampler = MemorySampler(pids, clock, began=began)
        self._clocks = PeakClocks(measure_fill_rate() * head.cpus)
        self._step = SamplingStep()
        self._timeline = Timeline()
        self._growth = GrowthWatch(from_start=from_start)
        self._input = InputWatch()
        self._proc = ProcFiles()
        self._seen: dict[int, SeenProcess] = {}
        self._marks: list[StageMark] = []
        self._end: RecordingEnd | None = None
        self._next_peaks = 0.0
        self._told: tuple[Peaks, tuple[GrownLine, ...]] = (self._clocks.told(), ())
        self._file = RecordingFile(path, anew=lambda: map(event_line, self.events()))
        self._record(head)

    def look(self) -> float:
        """Take a sample; gives the seconds until the next."""
        began = time.thread_time()
        sample = self._sampler.look()
        cost = time.thread_time() - began
        self._clocks.take(sample)
        self._timeline.add(sample)
        self._record(sample)  # last: a file that is full is written anew with all of them
        self._see_processes(sample)
        self._growth.take(sample)
        self._follow_stages()
        if made := self._input.look(self._pids, sample):
            self._record(made)
        if sample.seconds >= self._next_peaks:
            self._next_peaks = sample.seconds + _PEAKS_SECONDS
            self._record_peaks()
        return self._step.after(sample.unreclaimable, seconds=sample.seconds, cost=cost)

    def end(self, exit_code: int | None, *, stopped: str = "") -> None:
        """The job has ended, or is let alone: close the recording."""
        self._follow_stages()
        self._record_peaks()
        self._end = RecordingEnd(exit_code=exit_code, seconds=time.monotonic() - self._began, stopped=stopped)
        self._record(self._end)
        self._file.close()
        self._growth.close()
        if self._clock is not None:
            self._clock.close()

    def events(self) -> Iterator[Event]:
        """All that is known, as a recording keeps it."""
        yield self._head
        yield from self._seen.values()
        yield from self._timeline
        yield from self._marks
        yield self._clocks.told()
        yield self._growth.lines()
        if self._input.made is not None:
            yield self._input.made
        yield from sorted(self._growth.refusals())
        if self._file.lost_some:
            yield "the recording is not whole: its disk is full"
        if self._end is not None:
            yield self._end

    def _record(self, event: Event) -> None:
        self._file.write(event_line(event))

    def _record_peaks(self) -> None:
        peaks, lines = self._clocks.told(), self._growth.lines()
        if peaks != self._told[0]:
            self._record(peaks)
        if lines != self._told[1]:
            self._record(lines)
        self._told = (peaks, lines)

    def _see_processes(self, sample: MemorySample) -> None:
        for process in sample.processes:
            if process.pid in self._seen or process.pid == 0 or len(self._seen) >= _MOST_PROCESSES:
                continue
            stat = self._proc.stat(process.pid)
            if stat is not None:
                seen = SeenProcess(
                    seconds=sample.seconds,
                    pid=process.pid,
                    parent_pid=stat.parent_pid,
                    name=stat.name,
                    command=" ".join(self._proc.command(process.pid))[:200],
                )
                self._seen[process.pid] = seen
                self._record(seen)

    def _follow_stages(self) -> None:
        for mark in self._stages.marks() if self._stages is not None else ():
            if len(self._marks) < _MOST_MARKS:
                self._marks.append(mark)
                self._record(mark)
