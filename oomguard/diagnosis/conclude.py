"""From what the logs and counters tell to one answer: which kill, by whom, how sure, and what to do."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice import choose_advice
from oomguard.diagnosis.causes.counted import explain_counters
from oomguard.diagnosis.causes.find import find_cause
from oomguard.diagnosis.folding import fold
from oomguard.diagnosis.killers import BY_IDENT, KILLERS
from oomguard.diagnosis.model import ExplainedEvent
from oomguard.diagnosis.result import Diagnosis
from oomguard.formats.kernel_log import OomEvent, OtherKill

if TYPE_CHECKING:
    from oomguard.diagnosis.advice.kernel import SuspectScript
    from oomguard.diagnosis.kill_search import FoundKills
    from oomguard.diagnosis.model import Verdict
    from oomguard.formats.cgroup.oom_counters import OomCounters
    from oomguard.kernel.logs.model import LogSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for: the filter in words, and the user's program."""

    filter: str | None = None
    script: SuspectScript | None = None


def conclude(found: FoundKills, sources: list[LogSource], asked: Asked, counters: OomCounters | None) -> Diagnosis:
    """Choose the newest kill and explain it. Raises: nothing."""
    newest_first = list(found.kills)
    newest_first.reverse()
    newest_first.sort(key=_age)  # two logs may have been read one after the other; those without a day stay in order
    newest_first, also_told = fold(newest_first)
    events = tuple(
        ExplainedEvent(event=kill, cause=find_cause(kill)) for kill in newest_first if isinstance(kill, OomEvent)
    )
    others = tuple(kill for kill in newest_first if isinstance(kill, OtherKill))
    ended = [kill for kill in newest_first if isinstance(kill, OtherKill) or kill.outcome != "unknown"]
    is_other = bool(ended) and isinstance(ended[0], OtherKill)
    log_read = any(source.unread is None for source in sources)
    counted = None
    if counters and not newest_first and not asked.filter:
        counted = explain_counters(counters, log_read=log_read)
    main = _main(events)
    verdict, killer = _judge(newest_first, has_units=bool(found.units), counted=counted.verdict if counted else "none")
    notices = tuple(reversed(found.notices))
    told_by = {kill.told_by for kill in (*others, *also_told)} | {notice.told_by for notice in notices}
    return Diagnosis(
        verdict=verdict,
        killer=killer,
        events=events,
        others=others,
        units=tuple(reversed(found.units)),
        counters=counted if counted and counted.verdict != "none" else None,
        advice=tuple(
            choose_advice(
                main=None if is_other else main,
                other=others[0] if is_other else None,
                unit=found.units[-1].unit if found.units else None,
                counters=counters if counted and counted.verdict != "none" else None,
                notice=notices[0] if notices and verdict == "none" else None,
                unfiltered=_unfiltered(sources) if asked.filter else None,
                script=asked.script,
                also_told=also_told,
            )
        ),
        sources=tuple(sources),
        found=found.found - len(also_told),
        not_asked=found.all_found - found.found if asked.filter else 0,
        asked=asked.filter,
        newest_is_other=is_other,
        main=main,
        also_told=tuple(also_told),
        notices=notices,
        names={ident: BY_IDENT[ident].what for ident in told_by},
        reasons={ident: BY_IDENT[ident].why for ident in told_by},
        early=frozenset(killer.ident for killer in KILLERS if killer.early),
        kernel_count=counters.machine_kills if counters and not counters.in_container else None,
    )


def _unfiltered(sources: list[LogSource]) -> str:
    files = [shlex.quote(source.what) for source in sources if source.name == "file" and source.named]
    return " ".join(["oomguard diagnose", *files[:4], "--all"])


def _age(kill: OomEvent | OtherKill) -> float:
    return -kill.time.epoch if kill.time and kill.time.epoch else 0.0


def _main(events: tuple[ExplainedEvent, ...]) -> ExplainedEvent | None:
    """The newest kill that the log tells the end of, rather than a report that is cut off after its first lines."""
    return next(
        (explained for explained in events if explained.event.outcome != "unknown"), events[0] if events else None
    )


def _judge(kills: list[OomEvent | OtherKill], *, has_units: bool, counted: Verdict) -> tuple[Verdict, str | None]:
    if not kills:
        if has_units:
            return "likely", "kernel"
        return counted, None if counted == "none" else "kernel"
    newest = next((kill for kill in kills if isinstance(kill, OtherKill) or kill.outcome != "unknown"), kills[0])
    if isinstance(newest, OtherKill):
        return "proved", newest.killer
    return ("likely" if newest.quoted or newest.outcome == "unknown" else "proved"), "kernel"
