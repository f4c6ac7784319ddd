"""Who died, what each held, and why the kernel chose it, as far as the log shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.screens.layout import short
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OomEvent, Victim

_SHOWN_VICTIMS = 3
_MARKED = 200  # an oom_score_adj from here on was set on purpose


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
        return "the whole machine: there was no process left that the kernel may kill, and it stopped (panic)"
    if event.panicked:
        return "the whole machine: the kernel stopped it (panic)"
    if event.outcome == "no_victim":
        return "nothing: there was no process that it may kill"
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
        return f"marked to go before others: oom_score_adj {adj}"
    return _spared_text(victim, event, adj)


def _spared_text(victim: Victim, event: OomEvent, adj: int) -> str:
    tasks = event.tasks
    if tasks is not None and tasks.killable == len(event.victims) == 1:
        return f"oom_score_adj {adj}; the only one in the table that could be killed"
    if tasks is not None and tasks.scores and tasks.scores[0] == tasks.scores[-1] == adj:
        return f"oom_score_adj {adj}, as all that could be killed there"
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
