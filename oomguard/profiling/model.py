"""A profile: what a program needed at its peak, when, in which line, and what all of its input will need."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oomguard.profiling.recording_lines import ForecastMade, Peaks, RecordingEnd, RecordingHead, SeenProcess
    from oomguard.supervision.model import GrownLine, GrownStack, MemorySample

_ALL = 0.9  # of an input


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBand:
    """A stage of the program. Units: seconds since it began; `end` None: it was still in it."""

    name: str
    pid: int
    begin: float
    end: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakProfile:
    """A profile, as measured or as a recording gives it."""

    head: RecordingHead
    peaks: Peaks
    lines: tuple[GrownLine, ...]
    stages: tuple[StageBand, ...]
    timeline: tuple[MemorySample, ...]
    processes: tuple[SeenProcess, ...]
    forecast: ForecastMade | None
    end: RecordingEnd | None  # None: the recording stops before the program did
    notes: tuple[str, ...] = ()
    stacks: tuple[GrownStack, ...] = ()  # what grew in which stack, the largest first; none in recordings of 0.1
    fail_over: int | None = None  # bytes that the peak was not to pass

    @property
    def fits(self) -> bool | None:
        """Whether all of the input fits in what was available; None where that cannot be said."""
        at_end = self.forecast.at_end if self.forecast else None
        return None if at_end is None else at_end <= self.head.available

    @property
    def is_over(self) -> bool:
        """Whether the peak, as it was seen, passed `fail_over`."""
        return self.fail_over is not None and self.peaks.peak_unreclaimable > self.fail_over

    @property
    def read_all(self) -> bool:
        """Whether all of the input was read: then the peak says more than a forecast."""
        made = self.forecast
        return made is not None and made.method == "read position" and made.read_bytes >= _ALL * made.input_bytes

    def to_json(self) -> dict[str, Any]:
        """Give the same facts for programs. Units: bytes, seconds."""
        return {
            "schema": "oomguard.peak_profile/1",
            "command": list(self.head.command),
            "exit_code": self.end.exit_code if self.end else None,
            "wall_seconds": self.end.seconds if self.end else None,
            "stopped": (self.end.stopped or None) if self.end else None,
            "measured_by": self.head.tier,
            **{key: value for key, value in asdict(self.peaks).items() if key != "longest_gap"},
            "longest_gap_seconds": self.peaks.longest_gap,
            "available": self.head.available,
            "lines": [asdict(line) for line in self.lines],
            "stacks": [
                {"grew_bytes": stack.grew_bytes, "calls": [asdict(call) for call in stack.calls]}
                for stack in self.stacks
            ],
            "stages": [asdict(stage) for stage in self.stages],
            "timeline": [[round(sample.seconds, 3), sample.unreclaimable, sample.cache] for sample in self.timeline],
            "processes": [asdict(process) for process in self.processes],
            "forecast": self._forecast_json(),
            "fail_over": None if self.fail_over is None else {"limit": self.fail_over, "is_over": self.is_over},
            "notes": list(self.notes),
        }

    def _forecast_json(self) -> dict[str, Any] | None:
        made = self.forecast
        if made is None:
            return None
        return {
            "input": made.input,
            "input_bytes": made.input_bytes,
            "read_bytes": made.read_bytes,
            "peak_unreclaimable": made.at_end,
            "band": made.band,
            "per_byte": made.per_byte,
            "method": made.method,
            "why_not": made.why_not or None,
            "fits": self.fits,
        }
