"""What people see of a profile, beside its page."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from oomguard.profiling.text_chart import chart_rows
from oomguard.text import Command, Rows, as_root, printable, shell_word, signal_name
from oomguard.units import GIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType

    from oomguard.profiling.model import PeakProfile
    from oomguard.profiling.recording.events import ForecastMade
    from oomguard.supervision.growth.model import GrownLine

_CHART_WIDTH, _CHART_NARROWEST, _CHART_HEIGHT = 60, 20, 7
_CHART_MARGIN = 12  # columns of its labels
_LINES_SHOWN = 6
_LEAST_SHOWN, _REST_SHOWN = 0.01, 0.1  # of the peak
_STAGES_SHOWN = 8
_CODE_WIDTH = 60
_COARSE = 0.5  # of the peak
_FURTHEST = float(1 << 62)  # bytes
_LIBRARIES = re.compile(r"^.*/(?:site-packages|dist-packages|lib/python3[0-9.t]*)/")

Row = tuple[str, str | Command]


def render_profile(profile: PeakProfile) -> RenderableType:
    """Build the screen for people."""
    rows = [*_head_rows(profile), *_line_rows(profile), *_stage_rows(profile), *end_rows(profile)]
    return Group(Rows(rows), _Chart(profile))


@dataclass(frozen=True, slots=True)
class _Chart:
    """The timeline, and a bar for each stage below it, as wide as the terminal allows. One sample makes no chart."""

    profile: PeakProfile

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = max(_CHART_NARROWEST, min(_CHART_WIDTH, options.max_width - _CHART_MARGIN))
        for line in _chart_lines(self.profile, width):
            yield Text(line, no_wrap=True, overflow="ignore")


def how_it_ended(profile: PeakProfile) -> str:
    """Say with which status, or why, and when."""
    if profile.end is None:
        last = profile.timeline[-1].seconds if profile.timeline else 0.0
        return f"the recording ends after {last:.1f} s, before the program did"
    if profile.end.stopped:
        return f"{profile.end.stopped}, after {profile.end.seconds:.1f} s"
    if profile.end.exit_code is None:
        return f"it ended after {profile.end.seconds:.1f} s"
    code = profile.end.exit_code
    by = f" ({signal_name(code - 128)})" if code > 128 else ""
    return f"exit status {code}{by} after {profile.end.seconds:.1f} s"


def end_rows(profile: PeakProfile) -> list[Row]:
    """Give notes, forecast, whether it fits and what to do, as labels and lines for people, hostile still."""
    rows: list[Row] = [("note", note) for note in profile.notes]
    made = profile.forecast
    if made is None or profile.read_all:
        return rows
    name = short_path(profile, made.input)
    if made.at_end is None:
        return [*rows, ("forecast", f"none for {name}: {made.why_not}")]
    how = "if it is read once" if made.method == "read position" else "from runs on its first 1/16, 1/8 and 1/4"
    needs = f"about {format_size(made.at_end)} (fit error ± {format_size(made.band)})"
    rows.append(("forecast", f"all of {name} ({format_size(made.input_bytes)}) needs {needs}, {how}"))
    return [*rows, *_fit_rows(profile, made.at_end, made)]


def short_path(profile: PeakProfile, path: str) -> str:
    """Give a file as seen from the folder where the command began; of a library's, what is below its packages."""
    return _LIBRARIES.sub("", path.removeprefix(profile.head.folder.rstrip("/") + "/"))


def _head_rows(profile: PeakProfile) -> list[Row]:
    peaks = profile.peaks
    mark = "; it is the kernel's high-water mark, from between two samples" if peaks.by_the_mark else ""
    coarse = peaks.missed_at_most > _COARSE * peaks.peak_unreclaimable
    busy = "; the machine was too busy for closer samples" if coarse else ""
    cache, largest = format_size(peaks.peak_with_cache), format_size(peaks.largest_process)
    peak, missed = format_size(peaks.peak_unreclaimable), format_size(peaks.missed_at_most)
    return [
        ("profile", f"{shlex.join(profile.head.command)}: {how_it_ended(profile)}"),
        ("peak", f"{peak} at {peaks.peak_seconds:.1f} s, unreclaimable, each page counted once{mark}"),
        ("", f"it may have been up to {missed} higher ({peaks.samples:,} samples, {profile.head.tier}){busy}"),
        ("also", f"{cache} with page cache; largest process {largest}; summed RSS {format_size(peaks.summed_rss)}"),
    ]


def _line_rows(profile: PeakProfile) -> list[Row]:
    rows: list[Row] = []
    total = profile.peaks.peak_unreclaimable
    shown = [line for line in profile.lines if line.grew_bytes >= _LEAST_SHOWN * total] or profile.lines
    for number, line in enumerate(shown[:_LINES_SHOWN]):
        grew = f"{format_size(line.grew_bytes)} of {format_size(total)} {_where(profile, line)}"
        rows.append(("lines" if number == 0 else "", grew))
        if line.source:
            rows.append(("", Command(_cut(printable(line.source.strip())))))
    rest = total - sum(line.grew_bytes for line in profile.lines)
    if profile.lines and rest > _REST_SHOWN * total:
        why = "pages that forked children copied by writing to them, or growth that no sample caught"
        rows.append(("", f"{format_size(rest)} of {format_size(total)} not attributed: {why}"))
    return rows


def _where(profile: PeakProfile, line: GrownLine) -> str:
    if not line.line:
        return f"in {line.file}, no Python line known"
    return f"while in {short_path(profile, line.file)}:{line.line} {line.function}".rstrip()


def _cut(source: str) -> str:
    return source if len(source) <= _CODE_WIDTH else f"{source[: _CODE_WIDTH - 1]}…"


def _stage_rows(profile: PeakProfile) -> list[Row]:
    rows: list[Row] = []
    for number, stage in enumerate(profile.stages[:_STAGES_SHOWN]):
        last = profile.timeline[-1].seconds if profile.timeline else stage.begin
        end = stage.end if stage.end is not None else last
        inside = [sample.unreclaimable for sample in profile.timeline if stage.begin <= sample.seconds <= end]
        peak = f", peak {format_size(max(inside))}" if inside else ""
        rows.append(("stages" if number == 0 else "", f"{stage.name}: {stage.begin:.1f} to {end:.1f} s{peak}"))
    if len(profile.stages) > _STAGES_SHOWN:
        rows.append(("", f"and {len(profile.stages) - _STAGES_SHOWN} more"))
    return rows


def _fit_rows(profile: PeakProfile, at_end: int, made: ForecastMade) -> list[Row]:
    available, why = profile.head.available, profile.head.limited_by
    were = f"{format_size(available)} that were available ({why})"
    if at_end <= available:
        return [("fits", f"yes: {format_size(available - at_end)} remain of the {were}")]
    rows: list[Row] = [("fits", f"no: it needs {format_size(at_end - available)} more than the {were}")]
    if made.per_byte > 0:
        position = min(made.input_bytes, max(0, int(min((available - made.base) / made.per_byte, _FURTHEST))))
        rows.append(("", f"memory would run out at {format_size(position)} of {format_size(made.input_bytes)}"))
    missing = -(-(at_end - available) * 11 // (10 * GIB))
    script = next((part for part in profile.head.command if part.endswith(".py")), "SCRIPT")
    return [
        *rows,
        ("try", "find the lines to rewrite, and what to write instead:"),
        ("", Command(f"oomguard check {shell_word(script)}")),
        ("", "if the program makes tokens, make them in a fixed amount of memory:"),
        ("", Command(f"oomguard run --max-rss 512M prepare {shell_word(made.input)}")),
        ("", "run it as it is, but slower, with more swap:"),
        ("", Command(as_root(f"swap --size {missing}G"))),
    ]


def _chart_lines(profile: PeakProfile, width: int) -> list[str]:
    points = [(sample.seconds, float(sample.unreclaimable)) for sample in profile.timeline]
    if len(points) < 2:
        return []
    rows = chart_rows(points, width=width, height=_CHART_HEIGHT)
    labels = [format_size(max(value for _, value in points)), *[""] * (len(rows) - 2), "0"]
    begin, end = points[0][0], points[-1][0]
    bars = [
        (printable(stage.name)[:10], _bar(stage.begin, end if stage.end is None else stage.end, begin, end, width))
        for stage in profile.stages[:_STAGES_SHOWN]
    ]
    drawn = [f"{label:>10} |{row}" for label, row in [*zip(labels, rows, strict=True), *bars]]
    first, last = f"{begin:.1f} s", f"{end:.1f} s"
    return ["", *drawn, f"{'':10}  {first}{last:>{width - len(first)}}"]


def _bar(begin: float, end: float, first: float, last: float, width: int) -> str:
    """A bar from `begin` to `end`, below a chart from `first` to `last`; a short one is still seen."""
    length = max(last - first, 1e-9)
    left, right = (round(min(1.0, max(0.0, (at - first) / length)) * width) for at in (begin, end))
    left = min(left, width - 1)
    return " " * left + "-" * max(1, right - left)
