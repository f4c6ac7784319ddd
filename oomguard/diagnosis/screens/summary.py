"""The short screen: what killed it, what died, why, who filled the memory, what room there was, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.killers import BY_IDENT
from oomguard.diagnosis.screens.layout import COMMAND, Lines, short, when_text
from oomguard.diagnosis.screens.other_killers import notice_lines, other_lines
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.model import Advice, Findings, KillCause
    from oomguard.formats.kernel_log import OomEvent, TaskGroup, Victim

_SHOWN_GROUPS = 3
_SHOWN_UNREAD = 3
_SHOWN_SOURCES = 4
_SHOWN_VICTIMS = 3
_MARKED = 200  # an oom_score_adj from here on was set on purpose


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
        ("memory", cause.room),
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
            told.append(("also says", f"{short(kill.line)} ({entry.ident})"))
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
        text += f". The process that died ({short(victim.name)}) was not the one that held most"
    if cause.filler in ("slab", "kernel", "unaccounted", "hugetlb", "dirty", "cache", "shmem"):
        text += ". The processes are not what filled it"
    return text


def group_text(group: TaskGroup, total: int | None, *, limited: bool = False) -> str:
    """A group of processes of one name. `limited`: the total is a cgroup's usage, which may be less than it holds."""
    times = f"{group.count} x " if group.count > 1 else ""
    swap = f" + {format_size(group.swap)} in swap" if group.swap else ""
    share = f" ({group.rss / total:.0%})" if total and 0.01 * total <= group.rss <= total else ""
    more = " (may include files that are charged elsewhere)" if limited and total and group.rss > total else ""
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
        ("memory", counters.limit_text),
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
        asked = f" ({short(event.trigger_name)} had asked for memory)" if event.trigger_name else ""
        told.append(("newer", f"a report{when_text(event.time)}{asked}; it is cut off before it says what died"))
    if main is not None and main.event.outcome == "unknown" and not diagnosis.newest_is_other and diagnosis.units:
        unit = diagnosis.units[0]
        told.append(("systemd", f"a process of {short(unit.unit)} was killed for lack of memory{when_text(unit.time)}"))
    return told


def _try(do: str | None) -> str:
    return f"; try: {do}" if do else ""


def advice_lines(advice: tuple[Advice, ...]) -> Lines:
    """The steps, numbered if there are several, each with the line to paste below it."""
    told = []
    for number, step in enumerate(advice, start=1):
        mark = f"{number}) " if len(advice) > 1 else ""
        told.append(("do" if number == 1 else "", f"{mark}{step.text}{':' if step.command else ''}"))
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


# Who died, what each held, and why the kernel chose it, as far as the log shows.


def victims_text(event: OomEvent) -> str:
    """Who died and what each held."""
    if not event.victims:
        return _without_victim(event)
    parts = [_victim_text(victim, event) for victim in event.victims[:_SHOWN_VICTIMS]]
    if len(event.victims) > _SHOWN_VICTIMS:
        parts.append(f"and {len(event.victims) - _SHOWN_VICTIMS} more")
    text = ", ".join(parts)
    if event.oom_group and len(event.victims) > 1:
        text += f" ({len(event.victims)} processes: the group is set to die together, memory.oom.group)"
    if event.panicked:
        text += "; then the kernel stopped the machine (panic)"
    return text


def _without_victim(event: OomEvent) -> str:
    if event.outcome == "no_victim" and event.panicked:
        return (
            "the whole machine: there was no process left that the kernel was allowed to kill, and it stopped (panic)"
        )
    if event.panicked:
        return "the whole machine: the kernel stopped it (panic)"
    if event.outcome == "no_victim":
        return "nothing: there was no process that it was allowed to kill"
    if event.chosen is not None:
        return (
            f"{short(event.chosen.name)} (pid {event.chosen.pid}) was chosen; the line that says it was killed is not "
            "in this log"
        )
    if event.half_chosen is not None:
        return f"{short(event.half_chosen)} was chosen; the log ends before its process id is complete"
    asked = f"; {short(event.trigger_name)} had asked for memory" if event.trigger_name else ""
    return f"not in this log{asked}"


def _victim_text(victim: Victim, event: OomEvent) -> str:
    text = f"{short(victim.name)} (pid {victim.pid})"
    held = [_held(victim, event)] if victim.rss is not None else []
    if victim.swap:
        held.append(f"{format_size(victim.swap)} in swap")
    text += f", holding {' and '.join(held)}" if held else ""
    if victim.rss and victim.shmem_rss and victim.shmem_rss > victim.rss / 2:
        text += " (most of it shared memory)"
    if choice := _choice_text(victim, event):
        text += f" ({choice})"
    return text


def _held(victim: Victim, event: OomEvent) -> str:
    """Resident memory; where that is more than the limit, its own part: others may be charged for files."""
    rss, anon = victim.rss or 0, victim.anon_rss
    limit = event.memcg.limit if event.memcg else None
    if limit is None or rss <= limit or anon is None or anon > limit:
        return format_size(rss)
    return f"{format_size(anon)} of its own (and {format_size(rss - anon)} of files, perhaps charged elsewhere)"


def _choice_text(victim: Victim, event: OomEvent) -> str:
    """Why this one, where its oom_score_adj is not the usual one. Only what the log shows."""
    adj = victim.oom_score_adj
    if event.allocating_task:
        larger = _larger(victim, event)
        than = f", although {larger} held more" if larger else ""
        return f"killed because it asked for memory{than}: vm.oom_kill_allocating_task is set"
    if adj is None or abs(adj) < _MARKED:
        return ""
    if adj > 0:
        return f"marked to be killed before others: oom_score_adj {adj}"
    return _spared_text(victim, event, adj)


def _spared_text(victim: Victim, event: OomEvent, adj: int) -> str:
    tasks = event.tasks
    if tasks is not None and tasks.killable == len(event.victims) == 1:
        return f"oom_score_adj {adj}; the only one in the table that could be killed"
    if tasks is not None and tasks.scores and tasks.scores[0] == tasks.scores[-1] == adj:
        return f"oom_score_adj {adj}, like everything that could be killed there"
    larger = _larger(victim, event)
    if larger:
        return f"marked to be spared, oom_score_adj {adj}, although {larger} held more: the log does not say why"
    return f"marked to be spared: oom_score_adj {adj}"


def _larger(victim: Victim, event: OomEvent) -> str | None:
    """A process in the table that was less protected and held more."""
    rss = victim.rss or 0
    for row in event.tasks.largest if event.tasks else ():
        spared = (
            row.oom_score_adj is not None
            and row.oom_score_adj <= (victim.oom_score_adj or 0)
            and not event.allocating_task
        )
        if row.pid != victim.pid and row.oom_score_adj != -1000 and not spared and row.rss > 2 * rss:
            return f"{short(row.name)} (pid {row.pid}, {format_size(row.rss)})"
    return None
