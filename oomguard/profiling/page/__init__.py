"""A profile as one HTML page that needs nothing else, with a timeline to look into: to attach to a ticket."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.formats.page import (
    Cell,
    bar,
    bar_table,
    code,
    cut,
    document,
    moment,
    more,
    name,
    safe,
    section,
    table,
    text_or_code,
)
from oomguard.profiling.page.drawing import views
from oomguard.profiling.page.flame import call_list, flame_graph
from oomguard.profiling.page.timeline import chart_data, held_processes, most_within
from oomguard.profiling.screens import end_rows, how_it_ended, short_path
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.profiling.model import PeakProfile
    from oomguard.profiling.page.timeline import ChartData
    from oomguard.profiling.recording_lines import ForecastMade


_LINES, _STAGES, _PROCESSES, _NOTES = 20, 40, 40, 40  # rows shown; the rest is counted


def profile_page(profile: PeakProfile) -> str:
    """Give the page. Nothing from a profile gets in unescaped; only the script named by its hash may run."""
    chart = chart_data(profile) if profile.timeline else None
    ended = "good" if profile.fits else "bad" if profile.fits is False or profile.is_over else "unknown"
    heading = (
        f"<h1>{code(_command(profile))}</h1><p>{_began(profile)}</p>"
        f'<p class="verdict {ended}">{safe(_verdict(profile))}</p>'
    )
    return document(
        f"{format_size(profile.peaks.peak_unreclaimable)} peak: {_command(profile)} - oomguard profile",
        heading=heading,
        sections=[
            section("Peak", _peaks(profile)),
            section("Timeline", _timeline(chart) if chart else "<p>No sample was taken.</p>"),
            section("Lines that grew", _lines(profile)),
            section("Who called whom", _calls(profile)),
            section("Forecast for all of the input", _forecast(profile)),
            section("Stages", _stages(profile)),
            section("Processes", _processes(profile)),
            section("Notes", _notes(profile)),
        ],
        footer=safe(f"Recorded by oomguard profile; measured by {profile.head.tier}; {profile.head.cpus} CPUs."),
        data=chart.to_json() if chart else None,
    )


def _command(profile: PeakProfile) -> str:
    return cut(shlex.join(profile.head.command))


def _began(profile: PeakProfile) -> str:
    host = f" on {name(profile.head.host)}" if profile.head.host else ""
    return f"{moment(profile.head.began)}{host}"


def _verdict(profile: PeakProfile) -> str:
    """Say in one line how it ended, what it needed, and whether all of the input fits."""
    ended, peak = how_it_ended(profile), format_size(profile.peaks.peak_unreclaimable)
    available, made = format_size(profile.head.available), profile.forecast
    begin = f"{ended[:1].upper()}{ended[1:]}. Peak {peak}."
    if profile.read_all:
        return f"{begin} All of its input was read; {available} was available."
    if made is None or made.at_end is None:
        return f"{begin} {available} was available."
    fits = "It fits" if profile.fits else "It does not fit"
    return f"{begin} {fits}: all of the input needs {format_size(made.at_end)}, {available} was available."


def _peaks(profile: PeakProfile) -> str:
    peaks, head = profile.peaks, profile.head
    mark = ", between two samples, by the kernel's mark" if peaks.by_the_mark else ""
    when = f"{peaks.peak_seconds:.1f} s after it began{mark}"
    gap = f"{head.tier}, {peaks.samples:,} samples, at most {peaks.longest_gap:.3g} s apart"
    rows = [
        ("Unreclaimable, each page once", peaks.peak_unreclaimable, f"the peak: {when}", "peak"),
        ("Missed at most", peaks.missed_at_most, f"may have come and gone between two samples ({gap})", "missed"),
        ("With page cache", peaks.peak_with_cache, "not all of it is needed: the kernel takes page cache back", ""),
        ("Largest process", peaks.largest_process, "not the peak: one process of the tree, at its RSS", ""),
        ("Summed RSS", peaks.summed_rss, "not the peak: a shared page counts once for each process", ""),
        ("Available", head.available, f"to a new job, when it began ({head.limited_by})", "available"),
    ]
    whole = max(size for _, size, _, _ in rows[:-1])
    whole = head.available if whole < head.available < 4 * whole else whole  # beyond that, no bar can show it
    return bar_table(
        "the peak, and numbers that other tools call the peak",
        (
            (
                kind,
                label,
                format_size(size),
                f"{bar(size, whole, kind) if size <= whole else ''}<span>{safe(text)}</span>",
            )
            for label, size, text, kind in rows
        ),
    )


def _timeline(chart: ChartData) -> str:
    drawn = list(views(chart))
    switch = "".join(
        f'<label><input type="radio" name="view" value="{view}"{" checked" * (view == "total")}>{title}</label>'
        for view, title, _, _ in drawn
    )
    figures = "".join(
        f'<figure data-view="{view}"><figcaption>{title}</figcaption>{svg}{_legend(legend)}</figure>'
        for view, title, svg, legend in drawn
    )
    moments = (
        f'<label class="controls">memory at one moment '
        f'<input type="range" min="0" max="{len(chart.seconds) - 1}" value="0"></label><output></output>'
    )
    return (
        f'<div id="timeline"><fieldset class="controls"><legend>Show</legend>{switch}</fieldset>{figures}{moments}'
        f'<p class="note">{_caption(chart)}</p></div>'
    )


def _legend(legend: list[tuple[str, str]]) -> str:
    items = "".join(
        f'<li><svg class="swatch {kind}" aria-hidden="true"><rect width="100%" height="100%"/></svg>{safe(label)}</li>'
        for kind, label in legend
    )
    return f'<ul class="legend">{items}</ul>'


def _caption(chart: ChartData) -> str:
    said = [
        "Unreclaimable is what only ending a process gives back: anonymous, shared and swapped-out memory.",
        "In the total each page counts once."
        if chart.exact
        else "Some samples of the total are upper bounds: shared pages may count more than once.",
    ]
    if chart.kinds:
        said.append("By kind and by process, shared pages are counted once per process: the sum may exceed the total.")
    if chart.cache is None:
        said.append("Page cache of the job is not known: only a memory cgroup counts it.")
    if chart.available > max([*chart.total, chart.peak[1]]):
        said.append(f"Available: {format_size(chart.available)}.")
    return " ".join(said)


def _lines(profile: PeakProfile) -> str:
    whole = profile.peaks.peak_unreclaimable
    rows = []
    for line in profile.lines[:_LINES]:
        place = (
            f"{name(short_path(profile, line.file))}:{line.line}"
            if line.line
            else f"{name(line.file)} (not attributed to a line)"
        )
        inside = f" in {name(line.function)}" if line.function else ""
        source = f"<pre>{safe(cut(line.source.strip()))}</pre>" if line.source.strip() else ""
        percent = 100 * line.grew_bytes / whole if whole > 0 else 0
        share = f"{percent:.0f}% of the peak" if percent >= 1 else "under 1% of the peak"
        rest = f"{bar(line.grew_bytes, whole, 'line')}<span>{place}{inside}</span>{source}"
        rows.append(("line", format_size(line.grew_bytes), f"<small>{share}</small>", rest))
    if not rows:
        return ""
    intro = f"<p>The lines in which the peak of {format_size(whole)} had grown:</p>"
    return f"{intro}{bar_table('lines of code', rows)}{more(profile.lines, _LINES)}"


def _calls(profile: PeakProfile) -> str:
    graph = flame_graph(profile)
    if not graph:
        return ""
    intro = (
        "<p>Each call is as wide as the memory that had grown in it and below it at the peak, over all processes:</p>"
    )
    listed = call_list(profile)
    return f"{intro}{graph}" + (f"<h3>The same, calls of your own files</h3>{listed}" if listed else "")


def _forecast(profile: PeakProfile) -> str:
    if profile.forecast is None or profile.read_all:
        return ""
    rows = [(label, text) for label, text in end_rows(profile) if label != "note"]
    shown = "".join(f"<dt>{safe(label)}</dt><dd>{text_or_code(text)}</dd>" for label, text in rows)
    return f"<dl>{shown}</dl>{_forecast_bars(profile, profile.forecast)}"


def _forecast_bars(profile: PeakProfile, made: ForecastMade) -> str:
    """Draw what it needed, what all of the input needs with the band, and what was available, side by side."""
    if made.at_end is None:
        return ""
    low, high = max(0, made.at_end - made.band), made.at_end + made.band
    needed, available = profile.peaks.peak_unreclaimable, profile.head.available
    whole = max(high, needed, available, 1)
    rows = [
        (f"so far ({format_size(made.read_bytes)} read)", needed, bar(needed, whole, "peak")),
        (f"all of it ({format_size(made.input_bytes)})", made.at_end, bar(low, whole, "forecast", band=high - low)),
        ("available", available, bar(available, whole, "available")),
    ]
    shown = bar_table(
        "so far, all of it, available", (("", label, format_size(size), drawn) for label, size, drawn in rows)
    )
    return f"{shown}<p><small>The hatched part is the band: {format_size(made.band)} each way.</small></p>"


def _stages(profile: PeakProfile) -> str:
    rows = []
    for stage in profile.stages[:_STAGES]:
        most = most_within(stage, profile.timeline)
        end = Cell("not ended", 1e300) if stage.end is None else Cell(f"{stage.end:.1f} s", stage.end)
        held = Cell("no sample", -1) if most is None else Cell(format_size(most), most, "size")
        rows.append(
            (
                Cell(name(stage.name)),
                Cell(str(stage.pid), stage.pid),
                Cell(f"{stage.begin:.1f} s", stage.begin),
                end,
                held,
            )
        )
    shown = table("stages that the program reported", ("stage", "pid", "from", "to", "at most"), rows)
    return shown + more(profile.stages, _STAGES)


def _processes(profile: PeakProfile) -> str:
    held = held_processes(profile)
    rows = [
        (
            Cell(str(process.pid), process.pid),
            Cell(name(process.name)),
            Cell(format_size(process.most), process.most, "size"),
            Cell(format_size(process.most_file), process.most_file, "size"),
            Cell(f"{process.first:.1f} to {process.last:.1f} s", process.first),
            Cell(f"<code>{name(process.command)}</code>", kind="text"),
        )
        for process in held[:_PROCESSES]
    ]
    head = ("pid", "name", "held at most", "file pages", "seen", "command")
    note = (
        "<p>A page that several processes share counts whole for each of them, "
        "so a column does not add up to the peak.</p>"
    )
    return (note if rows else "") + table("processes, those that held most first", head, rows) + more(held, _PROCESSES)


def _notes(profile: PeakProfile) -> str:
    return "".join(f"<p>{name(note)}</p>" for note in profile.notes[:_NOTES]) + more(profile.notes, _NOTES)
