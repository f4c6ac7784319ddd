"""The six lines: what killed it, what died, why, who filled the memory, what room there was, what to do."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from rich.text import Text

from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.diagnosis.causes.model import Advice, KillCause
    from oomguard.diagnosis.model import Diagnosis
    from oomguard.formats.kernel_log import OomEvent, OtherKill, TaskGroup, Victim
    from oomguard.formats.kernel_log.records import LogTime

_SHOWN_VICTIMS = 3
_SHOWN_GROUPS = 3
_LONG_NAME = 100
_WIDTH, _LABEL = 80, 11
_COMMAND = "   "
_EARLY = ("systemd-oomd", "earlyoom", "nohang", "oomd")  # they act before the kernel has to

_KILLERS = {
    "systemd-oomd": "systemd-oomd, which ends whole units before memory runs out",
    "earlyoom": "earlyoom, a program that ends the largest process before memory runs out",
    "nohang": "nohang, a program that ends the largest process before memory runs out",
    "oomd": "oomd, a program that ends cgroups before memory runs out",
    "slurm": "the limit of the Slurm job (the kernel killed, Slurm reports it)",
    "ray": "Ray's memory monitor",
    "dask": "Dask's nanny, which restarts a worker that passes its memory limit",
    "kubelet": "Kubernetes, for lack of memory",
    "lmkd": "Android's low memory killer",
}


def six_lines(diagnosis: Diagnosis) -> RenderableType:
    """Build the short screen."""
    return Text(lay_out(lines_of(diagnosis)))


def lay_out(lines: list[tuple[str, str]]) -> str:
    """Set labels and texts side by side, 80 columns wide. A command is never broken: it is there to be pasted."""
    made = []
    for label, value in lines:
        shown = printable(value)
        if value.startswith(_COMMAND):
            made.append(f"{'':{_LABEL}}{shown}")
            continue
        wrapped = textwrap.wrap(shown, _WIDTH - _LABEL, break_on_hyphens=False, break_long_words=False) or [""]
        made += [f"{label if number == 0 else '':{_LABEL}}{part}".rstrip() for number, part in enumerate(wrapped)]
    return "\n".join(made)


def lines_of(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """The lines as label and text, not yet made safe to show."""
    if diagnosis.newest_is_other and diagnosis.others:
        told = _other_lines(diagnosis.others[0])
    elif diagnosis.main:
        told = event_lines(diagnosis.main.event, diagnosis.main.cause, diagnosis)
    elif diagnosis.counters or diagnosis.units:
        told = _counter_lines(diagnosis)
    else:
        told = _nothing_lines(diagnosis)
    told += advice_lines(diagnosis.advice)
    return told + _hints(diagnosis)


def event_lines(event: OomEvent, cause: KillCause, diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Four lines about a kill of the kernel's."""
    return [
        ("killed by", headline(event, diagnosis)),
        ("what died", victims_text(event) + _unit_text(diagnosis, event)),
        ("why", cause.why),
        ("filled by", _filled(event, cause)),
        ("room", cause.room),
    ]


def headline(event: OomEvent, diagnosis: Diagnosis) -> str:
    """Who killed, when, and how sure that is."""
    when = when_text(event.time)
    who = "the Linux kernel, out of memory"
    if event.manual:
        who = "the Linux kernel, because it was asked to"
    if event.quoted:
        return f"{who}{when}: likely, told only by another program's log"
    if event.outcome == "unknown":
        return f"{who}{when}: the kernel looked for something to kill; the log ends before it says what"
    return f"{who}{when}: {diagnosis.verdict} by the kernel's log" if diagnosis.verdict == "proved" else f"{who}{when}"


def when_text(time: LogTime | None) -> str:
    """When, with a comma before. A time that counts from boot is told in hours: nobody knows what [41369.8] is."""
    if time is None or not time.text:
        return ""
    if time.epoch is not None or time.monotonic is None or not time.text.startswith("["):
        return f", {time.text}"
    minutes, seconds = divmod(round(time.monotonic), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), 3)
    return f", {' '.join(f'{count} {unit}' for count, unit in parts[first : first + 2])} after the machine was started"


def victims_text(event: OomEvent) -> str:
    """Who died and what each held."""
    if not event.victims:
        return {
            "panic": "the whole machine: the kernel stopped it (panic)",
            "no_victim": "nothing: there was no process that it may kill",
        }.get(event.outcome, "not in this log")
    parts = [_victim_text(victim) for victim in event.victims[:_SHOWN_VICTIMS]]
    if len(event.victims) > _SHOWN_VICTIMS:
        parts.append(f"and {len(event.victims) - _SHOWN_VICTIMS} more")
    text = ", ".join(parts)
    if event.oom_group and len(event.victims) > 1:
        text += f" ({len(event.victims)} processes: the group is set to die together, memory.oom.group)"
    if event.outcome == "panic":
        text += "; then the kernel stopped the machine (panic)"
    return text


def _victim_text(victim: Victim) -> str:
    text = f"{short(victim.name)} (pid {victim.pid})"
    held = [format_size(victim.rss)] if victim.rss is not None else []
    if victim.swap:
        held.append(f"{format_size(victim.swap)} in swap")
    text += f", holding {' and '.join(held)}" if held else ""
    if victim.rss and victim.shmem_rss and victim.shmem_rss > victim.rss / 2:
        text += " (most of it shared memory)"
    if victim.oom_score_adj is not None and abs(victim.oom_score_adj) >= 200:
        spared = "marked to be spared, but nothing else was left"
        marked = "marked to go before others" if victim.oom_score_adj > 0 else spared
        text += f" ({marked}: oom_score_adj {victim.oom_score_adj})"
    return text


def _unit_text(diagnosis: Diagnosis, event: OomEvent) -> str:
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
    if tasks is None or not tasks.groups:
        where = {"kernel": "the kernel", "slab": "the kernel", "unaccounted": "nothing that is listed"}.get(
            cause.filler or ""
        )
        return where or "not in this log: the table of processes is missing"
    total = cause.accounting.total if cause.accounting else None
    parts = [group_text(group, total) for group in tasks.groups[:_SHOWN_GROUPS] if group.rss or group.swap]
    text = ", ".join(parts) or "no process held anything"
    if total and tasks.rss > 1.05 * total and tasks.rows > 1:
        text = f"up to (shared pages count for each): {text}"
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


def group_text(group: TaskGroup, total: int | None) -> str:
    """A group of processes of one name."""
    times = f"{group.count} x " if group.count > 1 else ""
    swap = f" + {format_size(group.swap)} in swap" if group.swap else ""
    share = f" ({group.rss / total:.0%})" if total and 0.01 * total <= group.rss <= total else ""
    return f"{times}{short(group.name)} {format_size(group.rss)}{share}{swap}"


def short(name: str) -> str:
    """A name that others chose, of a length that a line bears."""
    return name if len(name) <= _LONG_NAME else f"{name[:_LONG_NAME]}..."


def _other_lines(kill: OtherKill) -> list[tuple[str, str]]:
    when = when_text(kill.time)
    died = " ".join(filter(None, (short(kill.name) if kill.name else "", f"(pid {kill.pid})" if kill.pid else "")))
    if kill.cgroup:
        died += f"{' in ' if died else ''}{short(kill.cgroup)}"
    died = died or "its log does not say"
    if kill.rss:
        died += f", holding {format_size(kill.rss)}"
    if kill.processes:
        died += f" ({kill.processes} process{'es' if kill.processes != 1 else ''})"
    return [
        ("killed by", f"{_KILLERS.get(kill.killer, kill.killer)}{when}: proved by its log"),
        ("what died", died),
        ("why", _reason_text(kill)),
        ("filled by", "its log does not say"),
        (
            "room",
            "memory had not run out: the kernel killed nothing" if kill.killer in _EARLY else "its log does not say",
        ),
    ]


def _reason_text(kill: OtherKill) -> str:
    """Its own words, with sizes that can be read."""
    if kill.reason is None:
        return "memory ran low; its log says no more"
    reason = re.sub(r"(?<=\()[0-9]{6,15}(?=\))", lambda size: format_size(int(size[0])), kill.reason)
    if reason.startswith("memory pressure"):
        return f"its processes spent their time waiting for memory: {reason}"
    if kill.killer == "ray" and reason[:1].isdigit():
        return f"the memory of the node was at {reason}"
    return reason


def _counter_lines(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    counters = diagnosis.counters
    if counters is None:
        unit = diagnosis.units[0]
        return [
            (
                "killed by",
                "the Linux kernel, out of memory: likely, systemd says so; the kernel's own report was not found",
            ),
            ("what died", f"a process of {short(unit.unit)}"),
            ("why", "not in this log"),
            ("filled by", "not in this log"),
            ("room", "not in this log"),
        ]
    return [
        (
            "killed by",
            f"the Linux kernel, out of memory: {diagnosis.verdict}, by its counters; its log could not be read",
        ),
        (
            "what died",
            (
                f"{counters.oom_kills} process{'es' if counters.oom_kills != 1 else ''} {counters.since}; "
                "the counters tell no names"
            ),
        ),
        ("why", counters.text),
        ("filled by", "the counters do not say"),
        ("room", counters.limit_text),
    ]


def _nothing_lines(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    read = [source.what for source in diagnosis.sources if source.unread is None]
    unread = [source for source in diagnosis.sources if source.unread is not None]
    asked = f" that fits {diagnosis.asked}" if diagnosis.asked else ""
    told = [
        ("killed by", f"nothing{asked}, as far as can be seen: no kill for lack of memory was found"),
        ("looked in", ", ".join(read) if read else "nothing could be read"),
    ]
    if diagnosis.asked and diagnosis.found:
        told.append(("but", f"{diagnosis.found} other kills were found: oomguard diagnose --all"))
    told += [("not read", f"{source.what}: {source.unread}{_try(source.do)}") for source in unread[:3]]
    return told


def _try(do: str | None) -> str:
    return f"; try: {do}" if do else ""


def advice_lines(advice: tuple[Advice, ...]) -> list[tuple[str, str]]:
    """Numbered steps, each with the line to paste below it."""
    told = []
    for number, step in enumerate(advice, start=1):
        told.append(("do" if number == 1 else "", f"{number}) {step.text}{':' if step.command else ''}"))
        if step.command:
            told.append(("", f"{_COMMAND}{step.command}"))
    return told


def _hints(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    kept = len(diagnosis.events) + len(diagnosis.others)
    if kept > 1:
        more = diagnosis.found - 1
        return [("", ""), ("", f"{more} other kill{'s' if more != 1 else ''}: --all; how it was reckoned: --verbose")]
    return [("", ""), ("", "how it was reckoned, and the lines it comes from: --verbose")] if kept else []
