"""What people see of a profile, beside its page."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from oomguard.profiling.rules.call_tree import largest_nodes, own_call_tree
from oomguard.supervision.model import LINES_KEPT
from oomguard.text import Command, Rows, as_root, printable, shell_word, signal_name
from oomguard.units import GIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType

    from oomguard.profiling.model import PeakProfile
    from oomguard.profiling.recording_lines import ForecastMade
    from oomguard.profiling.rules.difference import ProfileDifference
    from oomguard.supervision.model import GrownLine

_CHART_WIDTH, _CHART_NARROWEST, _CHART_HEIGHT = 60, 20, 7
_CHART_MARGIN = 12  # columns of its labels
_LINES_SHOWN = 6
_CHANGES_SHOWN = 12
_LEAST_SHOWN, _REST_SHOWN = 0.01, 0.1  # of the peak
_STAGES_SHOWN = 8
_CALLS_SHOWN, _LEAST_CALL, _DEEPEST = 14, 0.03, 10  # rows; of the peak; levels that are indented
_CODE_WIDTH = 60
_COARSE = 0.5  # of the peak
_FURTHEST = float(1 << 62)  # bytes
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LIBRARIES = re.compile(r"^.*/(?:site-packages|dist-packages|lib/python3[0-9.t]*)/")

Row = tuple[str, str | Command]


def render_profile(profile: PeakProfile) -> RenderableType:
    """Build the screen for people."""
    rows = [
        *_head_rows(profile), *_line_rows(profile), *_call_rows(profile), *_stage_rows(profile), *end_rows(profile),
    ]  # fmt: skip
    return Group(Rows(rows), _Chart(profile))


@dataclass(frozen=True, slots=True)
class _Chart:
    """The timeline, and a bar for each stage below it, as wide as the terminal allows. One sample makes no chart."""

    profile: PeakProfile

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = max(_CHART_NARROWEST, min(_CHART_WIDTH, options.max_width - _CHART_MARGIN))
        for line in _chart_lines(self.profile, width):
            yield Text(line, no_wrap=True, overflow="ignore")


def render_difference(difference: ProfileDifference) -> RenderableType:
    """Build the screen of two profiles, before and after."""
    before, after = difference.before, difference.after
    rows: list[Row] = []
    for label, profile in (("before", before), ("after", after)):
        peak = format_size(profile.peaks.peak_unreclaimable)
        missed = f" (or up to {format_size(profile.peaks.missed_at_most)} more)"
        rows.append((label, f"{peak}{missed}: {shlex.join(profile.head.command)}: {how_it_ended(profile)}"))
    rows.append(("peak", _change_text(difference)))
    if before.head.command != after.head.command:
        rows.append(("note", "these are two different commands: more than one change may explain what differs"))
    if any(profile.end is None or profile.end.exit_code not in (0, None) for profile in (before, after)):
        rows.append(("note", "the two did not both end with status 0: one may have done less than the other"))
    shown = [each for each in difference.lines if abs(each.change) >= _LEAST_SHOWN * max(1, _higher(difference))]
    for number, each in enumerate(shown[:_CHANGES_SHOWN]):
        was, now = _held(before, each.before), _held(after, each.after)
        where = _where(after if each.after else before, each.line)
        rows.append(("" if number else "lines", f"{_signed(each.change)}: {was} to {now} {where}"))
        if each.line.source:
            rows.append(("", Command(_cut(printable(each.line.source.strip())))))
    return Group(Rows(rows))


def _held(profile: PeakProfile, line: GrownLine | None) -> str:
    if line is not None:
        return format_size(line.grew_bytes)
    # A profile keeps the lines that held most: one that is not among them may still have held a little.
    return f"under {format_size(profile.lines[-1].grew_bytes)}" if len(profile.lines) >= LINES_KEPT else "nothing seen"


def _change_text(difference: ProfileDifference) -> str:
    before, change = difference.before.peaks.peak_unreclaimable, difference.change
    share = f", {abs(change) / before:.0%} {'more' if change > 0 else 'less'} than before" if before and change else ""
    if abs(change) <= difference.uncertain:
        return (
            f"{_signed(change)}: no more than the {format_size(difference.uncertain)} that the samples may have missed"
        )
    return f"{_signed(change)}{share}"


def _higher(difference: ProfileDifference) -> int:
    return max(difference.before.peaks.peak_unreclaimable, difference.after.peaks.peak_unreclaimable)


def _signed(size: int) -> str:
    return f"{'+' if size > 0 else '-' if size < 0 else '±'}{format_size(abs(size))}"


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
    mark = "; between two samples, from the kernel's high-water mark minus page cache" if peaks.by_the_mark else ""
    coarse = peaks.missed_at_most > _COARSE * peaks.peak_unreclaimable
    busy = "; the machine was too busy for closer samples" if coarse else ""
    cache, largest = format_size(peaks.peak_with_cache), format_size(peaks.largest_process)
    peak, missed = format_size(peaks.peak_unreclaimable), format_size(peaks.missed_at_most)
    return [
        ("profile", f"{shlex.join(profile.head.command)}: {how_it_ended(profile)}"),
        ("peak", f"{peak} at {peaks.peak_seconds:.1f} s, unreclaimable, each page counted once{mark}"),
        ("", f"it may have been up to {missed} higher ({peaks.samples:,} samples, {profile.head.tier}){busy}"),
        ("also", f"{cache} with page cache; largest process {largest}; summed RSS {format_size(peaks.summed_rss)}"),
        *_limit_rows(profile),
    ]


def _limit_rows(profile: PeakProfile) -> list[Row]:
    limit, peaks = profile.fail_over, profile.peaks
    if limit is None:
        return []
    most = f"the {format_size(limit)} of --fail-over"
    if profile.is_over:
        return [("limit", f"failed: {format_size(peaks.peak_unreclaimable - limit)} over {most}")]
    if peaks.peak_unreclaimable + peaks.missed_at_most > limit:
        return [("limit", f"no sample was over {most}, but with what samples may have missed the peak could be")]
    return [("limit", f"kept: {format_size(limit - peaks.peak_unreclaimable)} below {most}")]


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
        return f"in {line.file}, not attributed to a line"
    return f"while in {short_path(profile, line.file)}:{line.line} {line.function}".rstrip()


def _call_rows(profile: PeakProfile) -> list[Row]:
    """Who called whom, where that says more than the lines do."""
    root = own_call_tree(profile.stacks)
    shown = largest_nodes(root, _CALLS_SHOWN, least=int(_LEAST_CALL * profile.peaks.peak_unreclaimable))
    if max((depth for depth, _ in shown), default=0) == 0:
        return []
    rows: list[Row] = []
    for number, (depth, node) in enumerate(shown):
        assert node.call is not None
        where = f"{short_path(profile, node.call.file)}:{node.call.line} {node.call.function}".rstrip()
        where = where if node.call.line else f"in {node.call.file}"
        indent = "  " * min(depth, _DEEPEST)
        rows.append(("" if number else "calls", f"{format_size(node.grew_bytes):>8}  {indent}{where}"))
    return rows


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
    were = f"{format_size(available)} that was available ({why})"
    if at_end <= available:
        return [("fits", f"yes: {format_size(available - at_end)} remains of the {were}")]
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


def chart_rows(points: Sequence[tuple[float, float]], *, width: int, height: int) -> list[str]:
    """Draw (time, value) points, sorted by time, as `height` rows of `width` columns; the highest value fills a column.

    A column shows the highest of its points; one without a point shows the last before it. Raises: nothing.
    """
    if not points or width < 1 or height < 1:
        return []
    first, last = points[0][0], points[-1][0]
    columns, newest = [-1.0] * width, [0.0] * width
    for time, value in points:
        part = min(1.0, max(0.0, (time - first) / (last - first))) if last > first else 0.0
        column = min(width - 1, int(part * width))
        columns[column], newest[column] = max(columns[column], value, 0.0), max(value, 0.0)
    held = 0.0
    for number, value in enumerate(columns):
        columns[number], held = (value, newest[number]) if value >= 0 else (held, held)
    most = max(columns) or 1.0
    eighths = [math.ceil(value / most * height * 8) for value in columns]
    return [
        "".join(_EIGHTHS[min(8, max(0, filled - 8 * row))] for filled in eighths).rstrip()
        for row in range(height - 1, -1, -1)
    ]
