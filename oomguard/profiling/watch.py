"""Samples a tree of processes as long as it runs, and records its memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oomguard.profiling.inputs import InputWatch
from oomguard.profiling.recorder import Recorder
from oomguard.profiling.recording.events import RecordingEnd, RecordingHead
from oomguard.profiling.rules.step import SamplingStep
from oomguard.profiling.sampler import MemorySampler, measure_fill_rate
from oomguard.supervision.growth.watch import GrowthWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from oomguard.profiling.cgroup_clock import MemcgClock
    from oomguard.profiling.recording.events import Event
    from oomguard.profiling.stage_file import StageFile

_PEAKS_SECONDS = 0.5


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
        self._pids = pids
        self._clock = clock
        self._stages = stages
        self._began = began
        self._sampler = MemorySampler(pids, clock, began=began)
        self._step = SamplingStep()
        self._growth = GrowthWatch(from_start=from_start)
        self._input = InputWatch()
        self._next_peaks = 0.0
        self._recorder = Recorder(
            head,
            path,
            fill_rate=measure_fill_rate() * head.cpus,
            lines=self._growth.lines,
            stacks=self._growth.stacks,
            refusals=self._growth.refusals,
        )

    def look(self) -> float:
        """Take a sample; gives the seconds until the next."""
        began = time.thread_time()
        sample = self._sampler.look()
        cost = time.thread_time() - began
        self._recorder.take_sample(sample)
        self._growth.take(sample)
        self._follow_stages()
        news = self._input.look(self._pids, sample)
        self._recorder.take_forecast(self._input.made, write=news is not None)
        if sample.seconds >= self._next_peaks:
            self._next_peaks = sample.seconds + _PEAKS_SECONDS
            self._recorder.write_peaks()
        return self._step.after(sample.unreclaimable, seconds=sample.seconds, cost=cost)

    def end(self, exit_code: int | None, *, stopped: str = "") -> None:
        """The job has ended, or is watched no longer: close the recording."""
        self._follow_stages()
        seconds = time.monotonic() - self._began
        self._recorder.close(RecordingEnd(exit_code=exit_code, seconds=seconds, stopped=stopped))
        self._growth.close()
        if self._clock is not None:
            self._clock.close()

    def events(self) -> Iterator[Event]:
        """All that is known, as a recording keeps it."""
        return self._recorder.events()

    def _follow_stages(self) -> None:
        if self._stages is not None:
            self._recorder.take_marks(self._stages.marks())
