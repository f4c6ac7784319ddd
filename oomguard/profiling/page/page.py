"""A profile as one HTML page that needs nothing else, with a timeline to look into: to attach to a ticket."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import shlex
from datetime import UTC, datetime
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING

from oomguard.errors import MissingExtra
from oomguard.profiling.page.timeline import KINDS, chart_data, held_processes, most_within
from oomguard.profiling.screens import end_rows, how_it_ended, short_path
from oomguard.text import Command, printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from oomguard.profiling.model import PeakProfile
    from oomguard.profiling.recording.events import ForecastMade

_LINES, _STAGES, _PROCESSES, _NOTES = 20, 40, 40, 40  # rows shown; the rest is counted
_TITLE, _LONGEST = 120, 300  # characters of a name

_NO_PLOTLY = "the page's timeline needs plotly, which is not installed"


def need_plotly() -> None:
    """Say before a long run that the page could not be made after it. Raises: MissingExtra."""
    if find_spec("plotly") is None:
        raise MissingExtra(_NO_PLOTLY, "html")


def plotly_script() -> str:
    """Give plotly.js, the whole library. Raises: MissingExtra if plotly is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtra(_NO_PLOTLY, "html") from error
    # As a browser's parser hands it on: one kind of line end; and nothing that ends the element it stands in.
    return str(get_plotlyjs()).replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")


def profile_page(profile: PeakProfile) -> str:
    """Give the page. Nothing from a profile gets in unescaped; only the two scripts named by hash may run.

    Raises: MissingExtra if plotly is not installed.
    """
    library, own = plotly_script(), _resource("page.js")
    verdict = _verdict(profile)
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(library, own)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>oomguard profile: {_safe(_command(profile)[:_TITLE])}</title>",
        f"<style>{_resource('page.css')}</style></head><body>",
        f"<h1><code>{_safe(_command(profile))}</code></h1>",
        f'<p class="verdict {_colour(profile)}">{_safe(verdict)}</p>',
        _section("Peak", _peaks(profile)),
        _section("Timeline", _timeline(profile)),
        _section("Lines that grew", _lines(profile)),
        _section("Forecast for all of the input", _forecast(profile)),
        _section("Stages", _stages(profile)),
        _section("Processes", _processes(profile)),
        _section("Notes", _notes(profile)),
        f"<footer>{_safe(_made(profile))}</footer>",
    ]
    if profile.timeline:
        data = f'<script type="application/json" id="data">{_json(chart_data(profile))}</script>'
        parts += [data, f"<script>{library}</script>", f"<script>{own}</script>"]
    return "\n".join(part for part in parts if part) + "\n</body></html>\n"


def _policy(*scripts: str) -> str:
    """Forbid the network and every script but these. plotly sets styles, and saves a picture from a data: address."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _resource(name: str) -> str:
    return files("oomguard.profiling.page").joinpath(name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    """Write JSON that cannot end the script element it stands in; all but ASCII is escaped, U+2028 too."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _safe(text: str) -> str:
    return html.escape(printable(text))


def _name(text: str) -> str:
    """Set a foreign name apart, so that letters written from right to left do not reorder what is beside them."""
    return f"<bdi>{_safe(_cut(text))}</bdi>"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>\n{body}</section>" if body else ""


def _command(profile: PeakProfile) -> str:
    return _cut(shlex.join(profile.head.command))


def _colour(profile: PeakProfile) -> str:
    return {True: "good", False: "bad", None: "unknown"}[profile.fits]


def _verdict(profile: PeakProfile) -> str:
    """Say in one line how it ended, what it needed, and whether all of the input fits."""
    ended, peak = how_it_ended(profile), format_size(profile.peaks.peak_unreclaimable)
    available, made = format_size(profile.head.available), profile.forecast
    begin = f"{ended[:1].upper()}{ended[1:]}. Peak {peak}."
    if profile.read_all:
        return f"{begin} All of its input was read; {available} were available."
    if made is None or made.at_end is None:
        return f"{begin} {available} were available."
    fits = "It fits" if profile.fits else "It does not fit"
    return f"{begin} {fits}: all of the input needs {format_size(made.at_end)}, {available} were available."


def _bar(size: float, whole: float, kind: str = "", *, band: float = 0) -> str:
    size, band = (max(0.0, min(1.0, part / whole)) if whole > 0 else 0.0 for part in (size, band))
    hatched = f'<div class=band style="width:{band:.2%}"></div>' if band else ""
    return f'<div class="bar {kind}"><div style="width:{size:.2%}"></div>{hatched}</div>'


def _peaks(profile: PeakProfile) -> str:
    peaks, head = profile.peaks, profile.head
    mark = ", between two samples, by the kernel's mark" if peaks.by_the_mark else ""
    when = f"{peaks.peak_seconds:.1f} s after it began{mark}"
    gap = f"{head.tier}, {peaks.samples:,} samples, at most {peaks.longest_gap:.3g} s apart"
    rows = [
        ("Unreclaimable, each page once", peaks.peak_unreclaimable, f"the peak: {when}", "peak"),
        ("Missed at most", peaks.missed_at_most, f"may have come and gone between two samples ({gap})", "missed"),
        ("With page cache", peaks.peak_with_cache, "not a need: the kernel takes cache back", ""),
        ("Largest process", peaks.largest_process, "not the peak: one process of the tree, at its RSS", ""),
        ("Summed RSS", peaks.summed_rss, "not the peak: a shared page counts once for each process", ""),
        ("Available", head.available, f"to a new job, when it began ({head.limited_by})", "available"),
    ]
    whole = max(size for _, size, _, _ in rows[:-1])
    whole = head.available if whole < head.available < 4 * whole else whole  # beyond that, no bar can show it
    shown = "".join(
        f"<tr class='{kind}'><th>{label}</th><td class=size>{format_size(size)}</td>"
        f"<td class=wide>{_bar(size, whole, kind) if size <= whole else ''}<span>{_safe(text)}</span></td></tr>"
        for label, size, text, kind in rows
    )
    return f"<table class=bars>{shown}</table>"


def _timeline(profile: PeakProfile) -> str:
    if not profile.timeline:
        return "<p>No sample was taken.</p>"
    views = (("total", "Total"), ("kinds", "By kind"), ("processes", "By process"))
    switch = "".join(
        f'<label><input type="radio" name="view" value="{value}"{" checked" * (value == "total")}>{label}</label>'
        for value, label in views
    )
    kinds = "".join(
        f'<label><input type="checkbox" name="kind" value="{kind}"{" checked" * (kind != "file")}>{kind}</label>'
        for kind in KINDS
    )
    return (
        f'<form id="controls"><fieldset>{switch}</fieldset><fieldset id="kinds">{kinds}</fieldset>'
        '<fieldset><label><input type="checkbox" name="whole">scale to what was available</label></fieldset></form>'
        '<div id="chart" role="img" aria-label="memory over time; the same figures are in the tables"></div>'
        '<p id="caption"></p><noscript><p>The timeline needs scripts; everything else is here.</p></noscript>'
    )


def _lines(profile: PeakProfile) -> str:
    whole = profile.peaks.peak_unreclaimable
    rows = []
    for line in profile.lines[:_LINES]:
        place = (
            f"{_name(short_path(profile, line.file))}:{line.line}"
            if line.line
            else f"{_name(line.file)} (no Python line known)"
        )
        inside = f" in {_name(line.function)}" if line.function else ""
        source = f"<pre>{_safe(_cut(line.source.strip()))}</pre>" if line.source.strip() else ""
        percent = 100 * line.grew_bytes / whole if whole > 0 else 0
        share = f"{percent:.0f} % of the peak" if percent >= 1 else "under 1 % of the peak"
        rows.append(
            f"<tr><td class=size>{format_size(line.grew_bytes)}<br> <small>{share}</small></td>"
            f"<td class=wide>{_bar(line.grew_bytes, whole)}<span>{place}{inside}</span>{source}</td></tr>"
        )
    if not rows:
        return ""
    intro = f"<p>Of the peak of {format_size(whole)}, what had grown while a program was in that line:</p>"
    return f"{intro}<table class=bars id=lines>{''.join(rows)}</table>{_more(profile.lines, _LINES)}"


def _forecast(profile: PeakProfile) -> str:
    if profile.forecast is None or profile.read_all:
        return ""
    rows = [(label, text) for label, text in end_rows(profile) if label != "note"]
    shown = "".join(f"<dt>{_safe(label)}</dt><dd>{_line_or_command(text)}</dd>" for label, text in rows)
    return f"<dl>{shown}</dl>{_forecast_bars(profile, profile.forecast)}"


def _line_or_command(text: str | Command) -> str:
    return f"<code>{_safe(text.line)}</code>" if isinstance(text, Command) else _safe(text)


def _forecast_bars(profile: PeakProfile, made: ForecastMade) -> str:
    """Draw what it needed, what all of the input needs with the band, and what was available, side by side."""
    if made.at_end is None:
        return ""
    low, high = max(0, made.at_end - made.band), made.at_end + made.band
    needed, available = profile.peaks.peak_unreclaimable, profile.head.available
    whole = max(high, needed, available, 1)
    rows = [
        (f"so far ({format_size(made.read_bytes)} read)", needed, _bar(needed, whole, "peak")),
        (f"all of it ({format_size(made.input_bytes)})", made.at_end, _bar(low, whole, "forecast", band=high - low)),
        ("available", available, _bar(available, whole, "available")),
    ]
    shown = "".join(
        f"<tr><th>{label}</th><td class=size>{format_size(size)}</td><td class=wide>{bar}</td></tr>"
        for label, size, bar in rows
    )
    band = f"<p><small>The hatched part is the band: {format_size(made.band)} each way.</small></p>"
    return f"<table class=bars>{shown}</table>{band}"


def _stages(profile: PeakProfile) -> str:
    rows = []
    for stage in profile.stages[:_STAGES]:
        most = most_within(stage, profile.timeline)
        end = "not ended" if stage.end is None else f"{stage.end:.1f} s"
        shown = "no sample" if most is None else format_size(most)
        rows.append((_name(stage.name), stage.pid, f"{stage.begin:.1f} s", end, shown))
    return _table(("stage", "pid", "from", "to", "at most"), rows) + _more(profile.stages, _STAGES)


def _processes(profile: PeakProfile) -> str:
    held = held_processes(profile)
    rows = [
        (
            process.pid,
            _name(process.name),
            format_size(process.most),
            format_size(process.most_file),
            f"{process.first:.1f} to {process.last:.1f} s",
            f"<code>{_name(process.command)}</code>",
        )
        for process in held[:_PROCESSES]
    ]
    head = ("pid", "name", "held at most", "file pages", "seen", "command")
    note = "<p>Of pages that several share, each holds the whole: a column does not add up to the peak.</p>"
    return (note if rows else "") + _table(head, rows) + _more(held, _PROCESSES)


def _notes(profile: PeakProfile) -> str:
    return "".join(f"<p>{_name(note)}</p>" for note in profile.notes[:_NOTES]) + _more(profile.notes, _NOTES)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Build a table of cells that are HTML already."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    cells = "".join(f"<th>{label}</th>" for label in head)
    return f"<div class=scroll><table class=grid><tr>{cells}</tr>{body}</table></div>" if body else ""


def _more(rows: Sequence[object], shown: int) -> str:
    return f"<p>and {len(rows) - shown:,} more</p>" if len(rows) > shown else ""


def _made(profile: PeakProfile) -> str:
    try:
        began = f"{datetime.fromtimestamp(profile.head.began, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        began = "an unknown time"
    return f"Recorded by oomguard profile at {began}; measured by {profile.head.tier}; {profile.head.cpus} CPUs."
