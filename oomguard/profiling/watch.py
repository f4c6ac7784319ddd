"""Samples a tree of processes as long as it runs, and records its memory."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from oomguard.profiling.inputs import InputWatch
from oomguard.profiling.recorder import Recorder
from oomguard.profiling.recording_lines import RecordingEnd, RecordingHead, StageMark
from oomguard.profiling.sampler import MemorySampler, SamplingStep, measure_fill_rate
from oomguard.stages import STAGES_VARIABLE
from oomguard.supervision.growth.watch import GrowthWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from oomguard.profiling.high_water import MemcgClock
    from oomguard.profiling.recording_lines import Event

_PEAKS_SECONDS = 0.5
_MOST_READ = 1 << 16  # bytes of the stages' file at a look
_MOST_NUMBER = 1 << 31


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
        self._let_go()

    def discard(self) -> None:
        """The job did not begin: leave no recording."""
        self._recorder.discard()
        self._let_go()

    def events(self) -> Iterator[Event]:
        """All that is known, as a recording keeps it."""
        return self._recorder.events()

    def _let_go(self) -> None:
        self._growth.close()
        if self._clock is not None:
            self._clock.close()

    def _follow_stages(self) -> None:
        if self._stages is not None:
            self._recorder.take_marks(self._stages.marks())


class StageFile:
    """The file through which a profiled program tells of its stages (see oomguard.stages). close() it."""

    variable = STAGES_VARIABLE  # of the environment, which names it to the program

    def __init__(self, began: float) -> None:
        """Times are counted from `began`, of the monotonic clock."""
        self._began = began
        # A name that goes with this process, however it ends: nothing is left behind.
        self._fd = os.memfd_create("oomguard-stages")
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        self._read = 0
        self._torn = b""

    def marks(self) -> list[StageMark]:
        """The stages that began or ended since the last time. Raises: nothing; what is not a mark is skipped."""
        data = os.pread(self._fd, _MOST_READ, self._read)
        self._read += len(data)
        *lines, self._torn = (self._torn + data).split(b"\n")
        self._torn = self._torn[:_MOST_READ]
        return [mark for line in lines if (mark := self._parse(line)) is not None]

    def close(self) -> None:
        """Let the file go."""
        os.close(self._fd)

    def _parse(self, line: bytes) -> StageMark | None:
        parts = line.decode(errors="replace").split("\t")
        if len(parts) != 4 or parts[2] not in ("begin", "end"):
            return None
        try:
            seconds, pid = float(parts[0]) - self._began, int(parts[1][:12])
        except ValueError:
            return None
        if not (-1.0 < seconds < _MOST_NUMBER and 0 < pid < _MOST_NUMBER):
            return None
        return StageMark(seconds=max(0.0, seconds), pid=pid, begins=parts[2] == "begin", name=parts[3])
