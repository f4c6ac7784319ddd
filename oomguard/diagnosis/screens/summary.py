"""The short screen: what killed it, what died, why, who filled the memory, what room there was, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.killers import BY_IDENT
from oomguard.diagnosis.screens.layout import COMMAND, Lines, short, when_text
from oomguard.diagnosis.screens.others import notice_lines, other_lines
from oomguard.diagnosis.screens.victims import victims_text
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.causes.model import Advice, KillCause
    from oomguard.diagnosis.model import Findings
    from oomguard.formats.kernel_log import OomEvent, TaskGroup

_SHOWN_GROUPS = 3
_SHOWN_UNREAD = 3
_SHOWN_SOURCES = 4


def lines_of(diagnosis: Findings) -> Lines:
    """The lines as label and text, not yet made safe to show."""
    if diagnosis.newest_is_other and diagnosis.others:
        told = other_lines(diagnosis.others[0])
    elif diagnosis.main:
        told = event_lines(diagnosis.main.event, diagnosis.main.cause, diagnosis)
    elif diagnosis.counters or diagnosis.units:
        told = _counter_lines(diagnosis)
    elif diagnosis.notices:
        told = notice_lines(diagnosis)
    else:
        told = _nothing_lines(diagnosis)
    told += _newer_but_cut(diagnosis)
    told += advice_lines(diagnosis.advice)
    return told + _hints(diagnosis)


def event_lines(event: OomEvent, cause: KillCause, diagnosis: Findings) -> Lines:
    """The lines about a kill of the kernel's."""
    return [
        ("killed by", headline(event)),
        ("what died", victims_text(event) + _unit_text(diagnosis, event)),
        *_asked_by_program(event, diagnosis),
        ("why", cause.why),
        ("filled by", _filled(event, cause)),
        ("room", cause.room),
    ]


def _asked_by_program(event: OomEvent, diagnosis: Findings) -> Lines:
    """A program that had asked the same process to end, or that tells of the same kill."""
    pids = {victim.pid for victim in event.victims}
    told = []
    for kill in diagnosis.also_told:
        if kill.pid is not None and kill.pid not in pids:
            continue
        entry = BY_IDENT[kill.told_by]
        if entry.early:
            told.append(("before", f"{kill.told_by} had asked it to end{when_text(kill.time)}, and it did not in time"))
        else:
            told.append(("also told", f"{short(kill.line)} ({entry.ident})"))
    return told[:1]


def headline(event: OomEvent) -> str:
    """Who killed, when, and how sure that is."""
    when = when_text(event.time)
    who = "the Linux kernel, out of memory"
    if event.manual:
        who = "the Linux kernel, because it was asked to"
    if event.quoted:
        return f"{who}{when}: likely, reported only in another program's log"
    if event.outcome == "unknown" and (event.chosen or event.half_chosen):
        return f"{who}{when}: likely; the kernel chose what to kill, and the log ends there"
    if event.outcome == "unknown":
        return f"{who}{when}: the kernel looked for something to kill; the log ends before it says what"
    return f"{who}{when}: proved by the kernel's log"


def _unit_text(diagnosis: Findings, event: OomEvent) -> str:
    """Systemd takes the rest of a unit down after a kill in it (OOMPolicy=stop), which looks like a second kill."""
    places = f"{event.task_memcg or ''}/{event.oom_memcg or ''}".split("/")
    failed = next((unit for unit in diagnosis.units if unit.failed and unit.unit in places), None)
    if failed is None or not event.victims:
        return ""
    return f"; systemd then stopped the rest of {short(failed.unit)} (OOMPolicy)"


def _filled(event: OomEvent, cause: KillCause) -> str:
    tasks = event.tasks
    if cause.kind == "manual":
        return "nothing: memory was not the reason"
    if tasks is not None and not tasks.rows and tasks.killable == 0:
        return "nothing: the table of processes is empty"
    if tasks is None or not tasks.groups:
        where = {"kernel": "the kernel", "slab": "the kernel", "unaccounted": "nothing that is listed"}.get(
            cause.filler or ""
        )
        return where or "not in this log: the table of processes is missing"
    total = cause.accounting.total if cause.accounting else None
    return _groups_text(event, cause, total)


def _groups_text(event: OomEvent, cause: KillCause, total: int | None) -> str:
    tasks = event.tasks
    assert tasks is not None
    alone = cause.kind == "memcg" and tasks.groups[0].count == 1
    parts = [
        group_text(group, total, limited=alone) for group in tasks.groups[:_SHOWN_GROUPS] if group.rss or group.swap
    ]
    text = ", ".join(parts) or "no process held anything"
    if total and tasks.rss > 1.05 * total and tasks.rows > 1:
        text = f"{text} at most (shared pages are counted once per process)"
    victim = next(iter(event.victims), None)
    if (
        victim is not None
        and tasks.groups[0].name != victim.name
        and cause.filler in ("anon", None)
        and not cause.ancestor
    ):
        text += f". What died ({short(victim.name)}) was not what held most"
    if cause.filler in ("slab", "kernel", "unaccounted", "hugetlb", "dirty", "cache", "shmem"):
        text += ". The processes are not what filled it"
    return text


def group_text(group: TaskGroup, total: int | None, *, limited: bool = False) -> str:
    """A group of processes of one name. `limited`: the total is a cgroup's usage, which may be less than it holds."""
    times = f"{group.count} x " if group.count > 1 else ""
    swap = f" + {format_size(group.swap)} in swap" if group.swap else ""
    share = f" ({group.rss / total:.0%})" if total and 0.01 * total <= group.rss <= total else ""
    more = " (files that are charged elsewhere may be in it)" if limited and total and group.rss > total else ""
    return f"{times}{short(group.name)} {format_size(group.rss)}{share}{more}{swap}"


def _counter_lines(diagnosis: Findings) -> Lines:
    counters = diagnosis.counters
    if counters is None:
        unit = diagnosis.units[0]
        return [
            (
                "killed by",
                "the Linux kernel, out of memory: likely, systemd says so; the kernel's own report was not found",
            ),
            ("what died", f"a process of {short(unit.unit)}{when_text(unit.time)}"),
            ("why", "systemd does not say whether the unit's own limit was reached, or the machine was full"),
        ]
    return [
        ("killed by", f"the Linux kernel, out of memory: {diagnosis.verdict}, by its counters{_log_state(diagnosis)}"),
        (
            "what died",
            (
                f"{counters.oom_kills} process{'es' if counters.oom_kills != 1 else ''} {counters.since}; "
                "the counters give no names"
            ),
        ),
        ("why", counters.text),
        ("filled by", "the counters do not say"),
        ("room", counters.limit_text),
        *_unread(diagnosis),
    ]


def _log_state(diagnosis: Findings) -> str:
    return "" if any(source.unread is None for source in diagnosis.sources) else "; its log could not be read"


def _unread(diagnosis: Findings) -> Lines:
    unread = [source for source in diagnosis.sources if source.unread is not None]
    return [("not read", f"{source.what}: {source.unread}{_try(source.do)}") for source in unread[:_SHOWN_UNREAD]]


def _nothing_lines(diagnosis: Findings) -> Lines:
    read = [source.what for source in diagnosis.sources if source.unread is None]
    asked = f" matching {diagnosis.asked}".replace(" matching since ", " since ") if diagnosis.asked else ""
    looked = ", ".join(read[:_SHOWN_SOURCES]) + (
        f" and {len(read) - _SHOWN_SOURCES} more" if len(read) > _SHOWN_SOURCES else ""
    )
    told = [
        ("killed by", f"unknown: no out-of-memory kill{asked} was found"),
        ("looked in", looked if read else "nothing could be read"),
    ]
    if diagnosis.asked and diagnosis.not_asked:
        count = diagnosis.not_asked
        told.append(
            (
                "but",
                f"{count} other kill{'s were' if count != 1 else ' was'} found: --all without the filter shows them",
            )
        )
    return told + _unread(diagnosis)


def _newer_but_cut(diagnosis: Findings) -> Lines:
    """A report newer than the kill that is shown, whose end is not in the log; and what systemd said after it."""
    main, newest = diagnosis.main, diagnosis.events[0] if diagnosis.events else None
    told: Lines = []
    if main is not None and newest is not None and newest is not main and not diagnosis.newest_is_other:
        event = newest.event
        asked = f", asked for by {short(event.trigger_name)}" if event.trigger_name else ""
        told.append(("newer", f"a report{when_text(event.time)}{asked}, which is cut off before it says what died"))
    if main is not None and main.event.outcome == "unknown" and not diagnosis.newest_is_other and diagnosis.units:
        unit = diagnosis.units[0]
        told.append(("systemd", f"a process of {short(unit.unit)} was killed for lack of memory{when_text(unit.time)}"))
    return told


def _try(do: str | None) -> str:
    return f"; try: {do}" if do else ""


def advice_lines(advice: tuple[Advice, ...]) -> Lines:
    """Numbered steps, each with the line to paste below it."""
    told = []
    for number, step in enumerate(advice, start=1):
        told.append(("do" if number == 1 else "", f"{number}) {step.text}{':' if step.command else ''}"))
        if step.command:
            told.append(("", f"{COMMAND}{step.command}"))
    return told


def _hints(diagnosis: Findings) -> Lines:
    kept = len(diagnosis.events) + len(diagnosis.others)
    more = diagnosis.found - 1
    told: Lines = [("", "")] if kept else []
    if diagnosis.verbose or diagnosis.every:
        told = []
    elif kept > 1 and more > 0:
        told.append(("", f"{more} more kill{'s' if more != 1 else ''}: --all; where every byte was: --verbose"))
    elif kept:
        told.append(("", "where every byte was, and the log lines behind this: --verbose"))
    victims = sum(max(1, len(explained.event.victims)) for explained in diagnosis.events)
    counted = diagnosis.kernel_count
    in_logs = max(victims, diagnosis.found)
    if kept and counted is not None and counted > in_logs:
        gone = f"{counted - in_logs} are not" if counted - in_logs > 1 else "1 is not"
        told.append(("", f"the kernel counts {counted} killed processes since boot: {gone} in the logs that were read"))
    return told
