"""A diagnosis as one HTML page that needs nothing else: to attach to a ticket."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers import BY_IDENT
from oomguard.diagnosis.screens.detail import MOST_EVIDENCE, fact_lines
from oomguard.diagnosis.screens.layout import COMMAND, Lines, when_text
from oomguard.diagnosis.screens.others import NOT_SAID, died_text, other_lines
from oomguard.diagnosis.screens.summary import event_lines, lines_of
from oomguard.formats.page.document import (
    LONGEST,
    Cell,
    bar,
    bar_table,
    code,
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
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.causes.model import Accounting
    from oomguard.diagnosis.model import ExplainedEvent, Findings
    from oomguard.formats.kernel_log import OomEvent, OtherKill, TaskRow
    from oomguard.formats.kernel_log.records import LogTime

_KILLS, _ROWS, _SOURCES = 60, 200, 40  # in full; of a table; the rest is counted
_COLOURS = {"proved": "bad", "likely": "bad", "possible": "unknown", "none": "good"}


def diagnosis_page(diagnosis: Findings, *, made: float, by: str) -> str:
    """Give the page: the newest kill in full, and with `every` each. `made` is now, `by` what made it.

    Nothing from a log gets in unescaped.
    """
    explained = diagnosis.main if not diagnosis.newest_is_other else None
    time = explained.event.time if explained else diagnosis.others[0].time if diagnosis.others else None
    first = lines_of(diagnosis)
    heading = (
        f"<h1>{safe(_heading(diagnosis))}</h1><p>{_when(time, made)}</p>"
        f'<p class="verdict {_COLOURS[diagnosis.verdict]}">{safe(_verdict(diagnosis, first))}</p>'
    )
    shown = [explained] if explained else []
    others = list(diagnosis.others[:1]) if diagnosis.newest_is_other else []
    if diagnosis.every:
        shown = [*shown, *(each for each in diagnosis.events if each is not explained)]
        others = list(diagnosis.others)
    sections = [section("What happened, and what to do", _rows(first))]
    sections += [_kill(each, diagnosis, made, heads=each is not explained) for each in shown[:_KILLS]]
    sections += [_other(each, made) for each in others[diagnosis.newest_is_other : _KILLS]]
    sections += [
        section("All kills that were found", _kills(diagnosis)),
        section("What systemd said", preformatted(_text([u.line for u in diagnosis.units]), "lines of systemd"))
        if diagnosis.units
        else "",
        section("Where it was looked", _sources(diagnosis)),
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
        return f"{_other_heading(kill)}, by {BY_IDENT[kill.told_by].what}"
    if diagnosis.main is not None:
        return _event_heading(diagnosis.main)
    if diagnosis.counters or diagnosis.units:
        return "Killed: out of memory, by the kernel's counters" if diagnosis.counters else "Killed: out of memory"
    return "No kill for lack of memory was found"


def _other_heading(kill: OtherKill) -> str:
    died = died_text(kill)
    return "A process that its log does not name: killed" if died == NOT_SAID else f"{cut(died, 80)}: killed"


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
    return next((f"{label[:1].upper()}{label[1:]} {value}" for label, value in lines if label), diagnosis.verdict)


def _when(time: LogTime | None, made: float) -> str:
    if time is None:
        return "When is not known."
    if time.epoch is None:
        said = when_text(time).removeprefix(", ")
        zone = "" if time.monotonic is not None else " (the log names no time zone)"
        return f"{safe(said)}{zone}" if said else "When is not known."
    return moment(time.epoch, made=made)


def _rows(lines: Lines) -> str:
    """Labels and texts as a list of terms; a command is set as code."""
    shown = "".join(
        f"<dt>{safe(label)}</dt><dd>{code(value.strip()) if value.startswith(COMMAND) else safe(value)}</dd>"
        for label, value in lines
        if value
    )
    return f"<dl>{shown}</dl>"


def _kill(explained: ExplainedEvent, diagnosis: Findings, made: float, *, heads: bool) -> str:
    """One kill by the kernel: its verdict where the page's first lines have another's, and all that is known."""
    event, cause = explained.event, explained.cause
    body = [f"<p>{_when(event.time, made)}</p>", _rows(event_lines(event, cause, diagnosis))] if heads else []
    if cause.accounting is not None and cause.accounting.shares:
        body.append(_accounting(cause.accounting))
    body.append(_processes(event))
    body.append(f"<h3>What else the log says</h3>{_rows(fact_lines(explained))}")
    evidence = list(event.evidence.values())[:MOST_EVIDENCE]
    if evidence:
        body.append(f"<h3>The lines it comes from</h3>{preformatted(_text(evidence), 'lines of the log')}")
    title = _event_heading(explained) if heads else "In full"
    return section(title, "\n".join(part for part in body if part))


def _other(kill: OtherKill, made: float) -> str:
    line = preformatted(_text([kill.line]), "line of the log")
    return section(
        f"{cut(died_text(kill), 80)}: killed", f"<p>{_when(kill.time, made)}</p>{_rows(other_lines(kill))}{line}"
    )


def _accounting(accounting: Accounting) -> str:
    parts = [(share.label, share.size, share.within is not None) for share in accounting.shares]
    if accounting.unaccounted > 0:
        parts.append(("not listed by the kernel", accounting.unaccounted, False))
    total = max(1, accounting.total)
    rows = (
        ("nested" if nested else "peak", safe(label), format_size(size), bar(size, total, "" if nested else "line"))
        for label, size, nested in parts
    )
    notes = "".join(f"<p>{safe(note)}</p>" for note in accounting.notes)
    title = f"Where {format_size(accounting.total)} of memory was"
    return f"<h3>{title}</h3>{bar_table(title, rows)}{notes}"


def _processes(event: OomEvent) -> str:
    tasks = event.tasks
    if tasks is None or not tasks.largest:
        return ""
    victims = {victim.pid for victim in event.victims}
    rows = [_process(row, is_victim=row.pid in victims) for row in tasks.largest[:_ROWS]]
    head = ("pid", "name", "resident", "shared", "swapped", "page tables", "user", "oom_score_adj", "killed")
    shown = table(f"the largest processes of {tasks.rows}; a page that several share counts for each", head, rows)
    groups = [
        (
            Cell(name(group.name)),
            Cell(f"{group.count:,}", group.count),
            Cell(format_size(group.rss), group.rss, "size"),
            _size(group.swap),
        )
        for group in tasks.groups[:_ROWS]
    ]
    by_name = table("processes by name", ("name", "how many", "resident", "swapped"), groups) if tasks.rows > 1 else ""
    guessed = "<p>The header of the table is lost; its columns were guessed.</p>" if tasks.guessed_columns else ""
    return f"<h3>Processes</h3>{shown}{guessed}{by_name}{more(tasks.groups, _ROWS)}"


def _process(row: TaskRow, *, is_victim: bool) -> tuple[Cell, ...]:
    adj = row.oom_score_adj
    return (
        Cell(str(row.pid), row.pid),
        Cell(name(row.name)),
        Cell(format_size(row.rss), row.rss, "size"),
        _size(row.shmem_rss),
        _size(row.swap),
        _size(row.pgtables),
        Cell(str(row.uid), row.uid),
        Cell("", -2000) if adj is None else Cell(str(adj), adj),
        Cell("yes" if is_victim else "", 1 if is_victim else 0),
    )


def _size(size: int | None) -> Cell:
    return Cell("not said", -1, "size") if size is None else Cell(format_size(size), size, "size")


def _kills(diagnosis: Findings) -> str:
    """Every kill in one table, newest first."""
    rows = []
    for each in diagnosis.events:
        event = each.event
        died = _died(event) or "not said"
        limit = each.cause.limit_owner or ("the machine" if event.constraint == "global" else "not said")
        held = sum(victim.rss or 0 for victim in event.victims)
        rows.append(
            (_time_cell(event.time), Cell(name(died)), _size(held or None), Cell("the kernel"), Cell(name(limit)))
        )
    for other in diagnosis.others:
        killer = Cell(safe(BY_IDENT[other.told_by].what), kind="text")
        died = cut(died_text(other), LONGEST)
        rows.append(
            (_time_cell(other.time), Cell(name(died)), _size(other.rss), killer, Cell(name(other.cgroup or "not said")))
        )
    if len(rows) < 2:
        return ""
    left = diagnosis.found - len(rows)
    note = f"<p>{left:,} more kills were found that are not kept.</p>" if left > 0 else ""
    shown = table("kills", ("when", "what died", "held", "killed by", "limit of"), rows[: 2 * _ROWS])
    hint = "" if diagnosis.every else "<p>Each of them in full: oomguard diagnose --all --html FILE.</p>"
    return f"{shown}{more(rows, 2 * _ROWS)}{note}{hint}"


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


def _text(lines: list[str]) -> str:
    return "\n".join(cut(line, 2 * LONGEST) for line in lines)
