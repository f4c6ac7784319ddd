"""One kill by the kernel on the page of a diagnosis: where the memory was, the processes, the lines that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.screens.detail import MOST_EVIDENCE, fact_lines
from oomguard.diagnosis.screens.layout import COMMAND, Lines
from oomguard.formats.page import (
    LONGEST,
    Cell,
    bar,
    bar_table,
    code,
    cut,
    more,
    name,
    preformatted,
    safe,
    table,
)
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.model import Accounting, ExplainedEvent
    from oomguard.formats.kernel_log import OomEvent, TaskRow

ROWS = 200  # of a table; the rest is counted


def rows_of(lines: Lines) -> str:
    """Labels and texts as a list of terms; a command is set as code."""
    shown = "".join(
        f"<dt>{safe(label)}</dt><dd>{code(value.strip()) if value.startswith(COMMAND) else safe(value)}</dd>"
        for label, value in lines
        if value
    )
    return f"<dl>{shown}</dl>"


def kill_details(explained: ExplainedEvent) -> str:
    """All that is known of a kill beside its verdict."""
    event, cause = explained.event, explained.cause
    body = []
    if cause.accounting is not None and cause.accounting.shares:
        body.append(_accounting(cause.accounting))
    body.append(_processes(event))
    body.append(f"<h3>What else the log says</h3>{rows_of(fact_lines(explained))}")
    evidence = list(event.evidence.values())[:MOST_EVIDENCE]
    if evidence:
        body.append(f"<h3>The log lines behind this</h3>{preformatted(lines_text(evidence), 'lines of the log')}")
    return "\n".join(part for part in body if part)


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
    rows = [_process(row, is_victim=row.pid in victims) for row in tasks.largest[:ROWS]]
    head = ("pid", "name", "resident", "shared", "swapped", "page tables", "user", "oom_score_adj", "killed")
    shown = table(f"the largest processes of {tasks.rows}; shared pages are counted once per process", head, rows)
    groups = [
        (
            Cell(name(group.name)),
            Cell(f"{group.count:,}", group.count),
            Cell(format_size(group.rss), group.rss, "size"),
            size_cell(group.swap),
        )
        for group in tasks.groups[:ROWS]
    ]
    by_name = table("processes by name", ("name", "how many", "resident", "swapped"), groups) if tasks.rows > 1 else ""
    guessed = "<p>The header of the table is lost; its columns were guessed.</p>" if tasks.guessed_columns else ""
    return f"<h3>Processes</h3>{shown}{guessed}{by_name}{more(tasks.groups, ROWS)}"


def _process(row: TaskRow, *, is_victim: bool) -> tuple[Cell, ...]:
    adj = row.oom_score_adj
    return (
        Cell(str(row.pid), row.pid),
        Cell(name(row.name)),
        Cell(format_size(row.rss), row.rss, "size"),
        size_cell(row.shmem_rss),
        size_cell(row.swap),
        size_cell(row.pgtables),
        Cell(str(row.uid), row.uid),
        Cell("", -2000) if adj is None else Cell(str(adj), adj),
        Cell("yes" if is_victim else "", 1 if is_victim else 0),
    )


def size_cell(size: int | None) -> Cell:
    """A size in a table, or that it is not said."""
    return Cell("not said", -1, "size") if size is None else Cell(format_size(size), size, "size")


def lines_text(lines: list[str]) -> str:
    """Lines of a log, each of a length that a page bears."""
    return "\n".join(cut(line, 2 * LONGEST) for line in lines)
