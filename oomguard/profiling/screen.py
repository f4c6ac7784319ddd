"""What a program needed: its peak by two clocks, when, in which line, and what all of its input will need."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.kernel.process.signal_name import signal_name
from oomguard.profiling.text_chart import chart_rows
from oomguard.text import printable
from oomguard.units import GIB, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.profiling.model import MemorySample
    from oomguard.profiling.recording.events import (
        ForecastMade,
        GrownLine,
        Peaks,
        RecordingEnd,
        RecordingHead,
        SeenProcess,
    )

_CHART_WIDTH, _CHART_HEIGHT = 60, 7
_LINES_SHOWN = 6
_LEAST_SHOWN, _REST_SHOWN = 0.01, 0.1  # of the peak
_ALL = 0.9  # of an input
_STAGES_SHOWN = 8
_CODE_WIDTH = 60
_FURTHEST = float(1 << 62)  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBand:
    """A stage of the program. Units: seconds since it began; `end` None: it was still in it."""

    name: str
    pid: int
    begin: float
    end: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakProfile:
    """A profile, or what a recording tells of one."""

    head: RecordingHead
    peaks: Peaks
    lines: tuple[GrownLine, ...]
    stages: tuple[StageBand, ...]
    timeline: tuple[MemorySample, ...]
    processes: tuple[SeenProcess, ...]
    forecast: ForecastMade | None
    end: RecordingEnd | None  # None: the recording stops before the program did
    notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool | None:
        """Whether all of the input fits in what was available; None where that cannot be said."""
        at_end = self.forecast.at_end if self.forecast else None
        return None if at_end is None else at_end <= self.head.available

    def render(self) -> RenderableType:
        """Build the screen for people."""
        screen = Table.grid(padding=(0, 2))
        screen.add_column()
        screen.add_column(overflow="fold")
        for label, value in [*self._head_rows(), *self._line_rows(), *self._stage_rows(), *self.end_rows()]:
            screen.add_row(label, Text(printable(value)))  # most of it is the program's own text
        return Group(screen, *map(Text, self._chart()))

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
            "stages": [asdict(stage) for stage in self.stages],
            "timeline": [[round(sample.seconds, 3), sample.unreclaimable, sample.cache] for sample in self.timeline],
            "processes": [asdict(process) for process in self.processes],
            "forecast": self._forecast_json(),
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

    def _head_rows(self) -> list[tuple[str, str]]:
        peaks = self.peaks
        seen = "seen by the kernel's mark between two samples; " if peaks.by_the_mark else ""
        missed = f"at most {format_size(peaks.missed_at_most)} more was missed"
        cache, largest = format_size(peaks.peak_with_cache), format_size(peaks.largest_process)
        peak = format_size(peaks.peak_unreclaimable)
        return [
            ("profile", f"{shlex.join(self.head.command)}: {self.how_it_ended()}"),
            ("peak", f"{peak} at {peaks.peak_seconds:.1f} s, unreclaimable, each page counted once"),
            ("", f"{seen}{missed} ({peaks.samples:,} samples, {self.head.tier})"),
            (
                "beside",
                f"{cache} with page cache; largest process {largest}; summed RSS {format_size(peaks.summed_rss)}",
            ),
        ]

    def how_it_ended(self) -> str:
        """Say with which status, or why, and when."""
        if self.end is None:
            last = self.timeline[-1].seconds if self.timeline else 0.0
            return f"the recording ends after {last:.1f} s, before the program did"
        if self.end.stopped:
            return f"{self.end.stopped}, after {self.end.seconds:.1f} s"
        if self.end.exit_code is None:
            return f"it ended after {self.end.seconds:.1f} s"
        code = self.end.exit_code
        by = f" ({signal_name(code - 128)})" if code > 128 else ""
        return f"exit status {code}{by} after {self.end.seconds:.1f} s"

    def _line_rows(self) -> list[tuple[str, str]]:
        rows, total = [], self.peaks.peak_unreclaimable
        shown = [line for line in self.lines if line.grew_bytes >= _LEAST_SHOWN * total] or self.lines
        for number, line in enumerate(shown[:_LINES_SHOWN]):
            grew = f"{format_size(line.grew_bytes)} of {format_size(total)} {self._while_in(line)}"
            rows.append(("lines" if number == 0 else "", grew))
            if line.source:
                rows.append(("", f"  {printable(line.source.strip())[:_CODE_WIDTH]}"))
        rest = total - sum(line.grew_bytes for line in self.lines)
        if self.lines and rest > _REST_SHOWN * total:
            rows.append(("", f"{format_size(rest)} of {format_size(total)} in no line: pages that forked children"))
            rows.append(("", "  copied by writing to them, or what grew before it could be read"))
        return rows

    def _while_in(self, line: GrownLine) -> str:
        if not line.line:
            return f"in {line.file}, no line of Python"
        return f"while in {self.relative(line.file)}:{line.line} {line.function}".rstrip()

    def relative(self, path: str) -> str:
        """Give a file as it is seen from the folder where the command began."""
        return path.removeprefix(self.head.folder.rstrip("/") + "/")

    def _stage_rows(self) -> list[tuple[str, str]]:
        rows = []
        for number, stage in enumerate(self.stages[:_STAGES_SHOWN]):
            last = self.timeline[-1].seconds if self.timeline else stage.begin
            end = stage.end if stage.end is not None else last
            inside = [sample.unreclaimable for sample in self.timeline if stage.begin <= sample.seconds <= end]
            peak = f", at most {format_size(max(inside))}" if inside else ""
            rows.append(("stages" if number == 0 else "", f"{stage.name}: {stage.begin:.1f} to {end:.1f} s{peak}"))
        if len(self.stages) > _STAGES_SHOWN:
            rows.append(("", f"and {len(self.stages) - _STAGES_SHOWN} more"))
        return rows

    def end_rows(self) -> list[tuple[str, str]]:
        """Give notes, forecast, whether it fits and what to do, as labels and lines for people, hostile still."""
        rows = [("note", note) for note in self.notes]
        made = self.forecast
        if made is None or self.is_over(made):
            return rows
        name = self.relative(made.input)
        if made.at_end is None:
            return [*rows, ("forecast", f"none for {name}: {made.why_not}")]
        how = "if it is read once" if made.method == "read position" else "by runs on beginnings of it"
        needs = f"{format_size(made.at_end)}, give or take {format_size(made.band)}"
        rows.append(("forecast", f"all of {name} ({format_size(made.input_bytes)}) needs {needs}, {how}"))
        return [*rows, *self._fit_rows(made.at_end, made)]

    def is_over(self, made: ForecastMade) -> bool:
        """Whether all of the input was read: then the peak is what there is to say."""
        return made.method == "read position" and made.read_bytes >= _ALL * made.input_bytes

    def _fit_rows(self, at_end: int, made: ForecastMade) -> list[tuple[str, str]]:
        available, why = self.head.available, self.head.limited_by
        were = f"{format_size(available)} that were available ({why})"
        if at_end <= available:
            return [("fits", f"yes: it leaves {format_size(available - at_end)} of the {were}")]
        rows = [("fits", f"no: it needs {format_size(at_end - available)} more than the {were}")]
        if made.per_byte > 0:
            position = min(made.input_bytes, max(0, int(min((available - made.base) / made.per_byte, _FURTHEST))))
            rows.append(("", f"it would die at {format_size(position)} of {format_size(made.input_bytes)}"))
        missing = -(-(at_end - available) * 11 // (10 * GIB))
        script = next((part for part in self.head.command if part.endswith(".py")), "SCRIPT")
        name = shlex.quote(made.input)
        return [
            *rows,
            ("try", f"oomguard check {shlex.quote(script)}"),
            ("", "  what to write instead, line by line"),
            ("", f"oomguard run --max-rss 512M prepare {name}"),
            ("", "  where tokens are what it makes: in any amount of memory"),
            ("", f"oomguard swap --size {missing}G"),
            ("", "  to run it as it is, slower"),
        ]

    def _chart(self) -> list[str]:
        """The timeline, and a bar for each stage below it. One sample makes no chart."""
        points = [(sample.seconds, float(sample.unreclaimable)) for sample in self.timeline]
        if len(points) < 2:
            return []
        rows = chart_rows(points, width=_CHART_WIDTH, height=_CHART_HEIGHT)
        labels = [format_size(max(value for _, value in points)), *[""] * (len(rows) - 2), "0"]
        begin, end = points[0][0], points[-1][0]
        bars = [
            (printable(stage.name)[:10], _bar(stage.begin, end if stage.end is None else stage.end, begin, end))
            for stage in self.stages[:_STAGES_SHOWN]
        ]
        drawn = [f"{label:>10} |{row}" for label, row in [*zip(labels, rows, strict=True), *bars]]
        first, last = f"{begin:.1f} s", f"{end:.1f} s"
        return ["", *drawn, f"{'':10}  {first}{last:>{_CHART_WIDTH - len(first)}}"]


def _bar(begin: float, end: float, first: float, last: float) -> str:
    """A bar from `begin` to `end`, below a chart from `first` to `last`; a short one is still seen."""
    length = max(last - first, 1e-9)
    left, right = (round(min(1.0, max(0.0, (at - first) / length)) * _CHART_WIDTH) for at in (begin, end))
    left = min(left, _CHART_WIDTH - 1)
    return " " * left + "-" * max(1, right - left)
