"""A diagnosis as one HTML page that needs nothing else: to attach to a ticket."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from oomguard.diagnosis.screens.layout import when_text
from oomguard.diagnosis.screens.other_killers import NOT_SAID, died_text, other_lines, who_killed
from oomguard.diagnosis.screens.page_kill import ROWS, kill_details, lines_text, rows_of, size_cell
from oomguard.diagnosis.screens.summary import event_lines, lines_of
from oomguard.formats.page import (
    LONGEST,
    Cell,
    cut,
    document,
    moment,
    more,
    name,
    preformatted,
    safe,
    section,
    table,
)

if TYPE_CHECKING:
    from oomguard.diagnosis.model import ExplainedEvent, Findings
    from oomguard.diagnosis.screens.layout import Lines
    from oomguard.formats.kernel_log import OomEvent, OtherKill
    from oomguard.formats.kernel_log.records import LogTime

_KILLS, _SOURCES = 60, 40  # in full; the rest is counted
_COLOURS = {"proved": "bad", "likely": "bad", "possible": "unknown", "none": "good"}


def diagnosis_page(diagnosis: Findings, *, made: float, by: str) -> str:
    """Give the page: the newest kill in full, and with `every` each. `made` is now, `by` what made it.

    Nothing from a log gets in unescaped.
    """
    explained = diagnosis.main if not diagnosis.newest_is_other else None
    time = explained.event.time if explained else diagnosis.others[0].time if diagnosis.others else None
    first = [line for line in lines_of(diagnosis) if "--verbose" not in line[1]]  # all of it is on the page
    heading = (
        f"<h1>{safe(_heading(diagnosis))}</h1><p>{_when(time, made)}</p>"
        f'<p class="verdict {_COLOURS[diagnosis.verdict]}">{safe(_verdict(diagnosis, first))}</p>'
    )
    shown = [explained] if explained else []
    others = list(diagnosis.others[:1]) if diagnosis.newest_is_other else []
    if diagnosis.every:
        shown = [*shown, *(each for each in diagnosis.events if each is not explained)]
        others = list(diagnosis.others)
    sections = [section("What happened, and what to do", rows_of(first))]
    sections += [_kill(each, diagnosis, made, heads=each is not explained) for each in shown[:_KILLS]]
    sections += [_other(each, made) for each in others[diagnosis.newest_is_other : _KILLS]]
    sections += [
        section("All kills that were found", _kills(diagnosis)),
        section("What systemd said", preformatted(lines_text([u.line for u in diagnosis.units]), "lines of systemd"))
        if diagnosis.units
        else "",
        section("Which logs were read", _sources(diagnosis)),
    ]
    return document(
        _title(diagnosis, time),
        heading=heading,
        sections=[each for each in sections if each],
        footer=f"{safe(by)}, {moment(made)}",
    )


def _heading(diagnosis: Findings) -> str:
    """What died and why, in a few words: for a browser's tab and a ticket's list of attachments as well."""
    if diagnosis.newest_is_other and diagnosis.others:
        kill = diagnosis.others[0]
        return f"{_other_heading(kill)}, by {who_killed(kill)}"
    if diagnosis.main is not None:
        return _event_heading(diagnosis.main)
    if diagnosis.counters or diagnosis.units:
        return "Killed: out of memory, by the kernel's counters" if diagnosis.counters else "Killed: out of memory"
    return "No out-of-memory kill was found"


def _other_heading(kill: OtherKill) -> str:
    died = died_text(kill)
    return "A process that the log does not name: killed" if died == NOT_SAID else f"{cut(died, 80)}: killed"


def _event_heading(explained: ExplainedEvent) -> str:
    event, cause = explained.event, explained.cause
    if not event.victims:
        if event.outcome in ("no_victim", "panic") or event.panicked:
            return f"{'The machine stopped' if event.panicked else 'Nothing was killed'}: out of memory"
        return "Out of memory: what was killed is not in this log"
    limit = f" (limit of {cause.limit_owner})" if cause.kind == "memcg" and cause.limit_owner else ""
    return f"{_died(event)} killed: {'asked for with SysRq' if event.manual else 'out of memory'}{limit}"


def _died(event: OomEvent) -> str:
    """The names of what died, those of several processes once."""
    names = Counter(cut(victim.name, 40) for victim in event.victims)
    shown = [f"{count} x {each}" if count > 1 else each for each, count in names.most_common(3)]
    return ", ".join(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _title(diagnosis: Findings, time: LogTime | None) -> str:
    when = when_text(time).removeprefix(", ")
    return f"{_heading(diagnosis)}{f', {when}' if when else ''} - oomguard diagnose"


def _verdict(diagnosis: Findings, lines: Lines) -> str:
    """The first line of the screen, which says who killed and how sure that is."""
    first = next((f"{label} {value}" for label, value in lines if label), diagnosis.verdict)
    told = first.removeprefix("killed by unknown: ")
    return f"{told[:1].upper()}{told[1:]}"


def _when(time: LogTime | None, made: float) -> str:
    if time is None:
        return "The time is not known."
    if time.epoch is None:
        said = when_text(time).removeprefix(", ")
        zone = "" if time.monotonic is not None else " (the log names no time zone)"
        return f"{safe(said)}{zone}" if said else "The time is not known."
    return moment(time.epoch, made=made)


def _kill(explained: ExplainedEvent, diagnosis: Findings, made: float, *, heads: bool) -> str:
    """One kill by the kernel: its verdict where the page's first lines have another's, and all that is known."""
    event, cause = explained.event, explained.cause
    verdict = f"<p>{_when(event.time, made)}</p>{rows_of(event_lines(event, cause, diagnosis))}" if heads else ""
    return section(_event_heading(explained) if heads else "In full", f"{verdict}{kill_details(explained)}")


def _other(kill: OtherKill, made: float) -> str:
    line = preformatted(lines_text([kill.line]), "line of the log")
    return section(
        f"{cut(died_text(kill), 80)}: killed", f"<p>{_when(kill.time, made)}</p>{rows_of(other_lines(kill))}{line}"
    )


def _kills(diagnosis: Findings) -> str:
    """Every kill in one table, newest first."""
    rows = []
    for each in diagnosis.events:
        event = each.event
        died = _died(event) or "not said"
        limit = each.cause.limit_owner or ("the machine" if event.constraint == "global" else "not said")
        held = sum(victim.rss or 0 for victim in event.victims)
        rows.append(
            (_time_cell(event.time), Cell(name(died)), size_cell(held or None), Cell("the kernel"), Cell(name(limit)))
        )
    for other in diagnosis.others:
        killer = Cell(safe(who_killed(other)), kind="text")
        died = cut(died_text(other), LONGEST)
        rows.append(
            (
                _time_cell(other.time),
                Cell(name(died)),
                size_cell(other.rss),
                killer,
                Cell(name(other.cgroup or "not said")),
            )
        )
    if len(rows) < 2:
        return ""
    left = diagnosis.found - len(rows)
    note = f"<p>{left:,} more kills were found, which are not listed here.</p>" if left > 0 else ""
    shown = table("kills", ("when", "what died", "held", "killed by", "limit of"), rows[: 2 * ROWS])
    hint = "" if diagnosis.every else "<p>Each of them in full: oomguard diagnose --all --html FILE.</p>"
    return f"{shown}{more(rows, 2 * ROWS)}{note}{hint}"


def _time_cell(time: LogTime | None) -> Cell:
    if time is not None and time.epoch is not None:
        return Cell(moment(time.epoch), time.epoch, "text")
    return Cell(
        safe(when_text(time).removeprefix(", ") or "not said"), None if time is None else time.monotonic, "text"
    )


def _sources(diagnosis: Findings) -> str:
    said = [
        (safe(source.what), "read" if source.unread is None else f"not read: {safe(source.unread)}")
        for source in diagnosis.sources[:_SOURCES]
    ]
    shown = "".join(f"<li>{what}: {state}</li>" for what, state in said)
    return f"<ul>{shown}</ul>{more(diagnosis.sources, _SOURCES)}" if said else ""
