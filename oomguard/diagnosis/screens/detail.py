"""The long screen: where every byte was, who held most, whose limit, and the lines of the log that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.killers import BY_IDENT
from oomguard.diagnosis.screens.layout import Lines, Screen, short, when_text
from oomguard.diagnosis.screens.summary import event_lines, group_text, lines_of
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.model import Accounting, ExplainedEvent, Findings
    from oomguard.formats.kernel_log import OomEvent, TaskRow

_BAR = 30
MOST_EVIDENCE = 8
_QUOTED = 400


def render_detail(diagnosis: Findings) -> Screen:
    """Build the screen of --verbose, or of --all: each kill in turn, newest first."""
    blocks: list[Lines | str] = [lines_of(diagnosis)]
    if diagnosis.every:
        blocks += [
            _brief(explained, diagnosis)
            for explained in diagnosis.events
            if diagnosis.newest_is_other or explained is not diagnosis.main
        ]
        blocks += [
            [
                ("killed by", f"{BY_IDENT[other.told_by].what}{when_text(other.time)}"),
                ("line", other.line),
            ]
            for other in diagnosis.others[1 if diagnosis.newest_is_other else 0 :]
        ]
    if diagnosis.verbose:
        blocks += detail_blocks(diagnosis.main) if diagnosis.main else []
        blocks += [_lines("systemd said", [unit.line for unit in diagnosis.units[:4]])] if diagnosis.units else []
        blocks.append(_sources(diagnosis))
    return Screen(blocks)


def _brief(explained: ExplainedEvent, diagnosis: Findings) -> Lines:
    return event_lines(explained.event, explained.cause, diagnosis)[:3]


def detail_blocks(explained: ExplainedEvent) -> list[Lines | str]:
    """The accounting, the processes, the limits and the evidence of one event."""
    event, cause = explained.event, explained.cause
    blocks: list[Lines | str] = (
        [accounting_text(cause.accounting)] if cause.accounting and cause.accounting.shares else []
    )
    if event.tasks and event.tasks.rows:
        blocks.append(_tasks(event, cause.accounting))
    blocks.append(fact_lines(explained))
    if event.top_allocations:
        blocks.append(
            _lines("largest in the kernel", [f"{format_size(size)}  {name}" for name, size in event.top_allocations])
        )
    blocks.append(_lines("the log lines behind this", list(event.evidence.values())[:MOST_EVIDENCE]))
    return blocks


def accounting_text(accounting: Accounting) -> str:
    """Where the memory was, largest first, each with a bar."""
    rows = [(share.label, share.size, share.within is not None) for share in accounting.shares]
    if accounting.unaccounted > 0.005 * accounting.total:
        rows.append(("not listed by the kernel", accounting.unaccounted, False))
    lines = [f"where {format_size(accounting.total)} of memory was"]
    for label, size, nested in rows:
        share = size / accounting.total
        if share >= 0.001:
            bar = "" if nested else "#" * max(1, min(_BAR, round(share * _BAR)))
            lines.append(
                (
                    f"  {'  ' if nested else ''}{label:{28 - 2 * nested}}{format_size(size):>9} {share:>6.1%}  {bar}"
                ).rstrip()
            )
    return "\n".join([*lines, *(f"  note: {note}" for note in accounting.notes)])


def _tasks(event: OomEvent, accounting: Accounting | None) -> str:
    assert event.tasks is not None
    total = accounting.total if accounting else None
    title = f"processes by name ({event.tasks.rows} in all; resident memory, shared pages counted in each)"
    groups = _lines(title, [group_text(group, total) for group in event.tasks.groups[:8] if group.rss or group.swap])
    rows = _lines("largest processes", [_row_text(row) for row in event.tasks.largest[:8]])
    guessed = (
        "\n  note: the header of the table is lost; its columns were guessed" if event.tasks.guessed_columns else ""
    )
    return f"{groups}\n{rows}{guessed}"


def _row_text(row: TaskRow) -> str:
    adj = f", oom_score_adj {row.oom_score_adj}" if row.oom_score_adj else ""
    swap = f", {format_size(row.swap)} in swap" if row.swap else ""
    return f"{format_size(row.rss):>9}  {short(row.name)} (pid {row.pid}, user {row.uid}{swap}{adj})"


def fact_lines(explained: ExplainedEvent) -> Lines:
    """What else the log says of an event: who asked, whose limit, the kernel, what is missing."""
    event, cause = explained.event, explained.cause
    facts = [("cause", cause.kind + ("" if cause.certain else " (not certain)"))]
    if event.trigger_name is not None:
        order = (
            f", {format_size((event.page_size or 4096) << event.order)} in one piece"
            if event.order and 0 < event.order < 12
            else ""
        )
        pid = f" (pid {event.trigger_pid})" if event.trigger_pid is not None else ""
        flags = f", {event.gfp_flags}" if event.gfp_flags else ""
        facts.append(
            ("asked by", f"{short(event.trigger_name)}{pid}: the request that could not be served{order}{flags}")
        )
    if event.oom_memcg:
        facts.append(("limit of", f"{event.oom_memcg} ({cause.limit_owner})"))
    if event.task_memcg:
        facts.append(("victim in", event.task_memcg))
    if len(event.victims) > 3:
        facts.append(("victims", ", ".join(f"{short(victim.name)} ({victim.pid})" for victim in event.victims[:40])))
    page = event.page_size_from or "assumed: the log does not say"
    facts.append(
        (
            "page size",
            f"{format_size(event.page_size or 4096)} (from {page})" if event.page_size else f"4.0 KiB ({page})",
        )
    )
    facts += [("kernel", event.kernel)] if event.kernel else []
    facts += [("missing", ", ".join(event.missing))] if event.missing else []
    return facts + [("note", note) for note in (*event.notes, *cause.notes)]


def _sources(diagnosis: Findings) -> str:
    lines = []
    for source in diagnosis.sources:
        state = (
            "read"
            if source.unread is None
            else f"not read: {source.unread}" + (f"; try: {source.do}" if source.do else "")
        )
        lines.append(f"{source.what}: {state}")
    return _lines("sources", lines)


def _lines(title: str, lines: list[str]) -> str:
    shown = [f"  {printable(line[:_QUOTED])}" for line in lines]
    return "\n".join([title, *shown]) if shown else ""
