"""From what the logs and counters tell to one answer: which kill, by whom, how sure, and what to do."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice import choose_advice
from oomguard.diagnosis.causes.find import explain_counters, find_cause
from oomguard.diagnosis.model import ExplainedEvent
from oomguard.diagnosis.result import Diagnosis

if TYPE_CHECKING:
    from oomguard.diagnosis.filter import Asked
    from oomguard.diagnosis.kill_search import FoundKills, NewestFirst
    from oomguard.diagnosis.model import Verdict
    from oomguard.formats.cgroup import OomCounters


def conclude(found: FoundKills, asked: Asked, counters: OomCounters | None) -> Diagnosis:
    """Choose the newest kill and explain it. Raises: nothing."""
    kills = found.newest_first()
    events = tuple(ExplainedEvent(event=event, cause=find_cause(event)) for event in kills.events)
    is_other = kills.told_to_the_end is not None and kills.told_to_the_end in kills.others
    counted = None
    log_read = any(source.unread is None for source in found.sources)
    if counters and not kills.kills and not asked.filter:
        counted = explain_counters(counters, log_read=log_read)
    if counted and counted.verdict == "none":
        counted = None
    main = _main(events)
    verdict, killer = _judge(kills, has_units=bool(found.units), counted=counted.verdict if counted else "none")
    notices = found.notices_first()
    return Diagnosis(
        verdict=verdict,
        killer=killer,
        events=events,
        main=main,
        others=kills.others,
        also_told=kills.also_told,
        newest_is_other=is_other,
        units=tuple(reversed(found.units)),
        notices=notices,
        counters=counted,
        kernel_count=counters.machine_kills if counters and _tell_of_the_same(found, counters) else None,
        advice=tuple(
            choose_advice(
                main=None if is_other else main,
                other=kills.others[0] if is_other else None,
                unit=found.units[-1].unit if found.units else None,
                counters=counters if counted else None,
                notice=notices[0] if notices and verdict == "none" else None,
                unfiltered=_unfiltered(found) if asked.filter and log_read else None,
                pasted=any(source.named or source.name == "stdin" for source in found.sources),
                script=asked.script,
                also_told=kills.also_told,
            )
        ),
        sources=tuple(found.sources),
        found=found.found - len(kills.also_told),
        not_asked=found.all_found - found.found if asked.filter else 0,
        asked=asked.filter,
    )


def _tell_of_the_same(found: FoundKills, counters: OomCounters) -> bool:
    """Whether the logs are of the machine whose kills are counted: a container's own files are not."""
    of_kernel = any(source.name == "kmsg" and source.unread is None for source in found.sources)
    return of_kernel or not counters.in_container


def _unfiltered(found: FoundKills) -> str:
    """The command that shows what the filter left out."""
    files = [shlex.quote(source.what) for source in found.sources if source.name == "file" and source.named]
    return " ".join(["oomguard diagnose", *files[:4], "--all"])


def _main(events: tuple[ExplainedEvent, ...]) -> ExplainedEvent | None:
    """The newest kill that the log tells the end of, rather than a report that is cut off after its first lines."""
    return next(
        (explained for explained in events if explained.event.outcome != "unknown"), events[0] if events else None
    )


def _judge(kills: NewestFirst, *, has_units: bool, counted: Verdict) -> tuple[Verdict, str | None]:
    if not kills.kills:
        if has_units:
            return "likely", "kernel"
        return counted, None if counted == "none" else "kernel"
    newest = kills.told_to_the_end
    if newest is None:  # a report that is cut off
        return "likely", "kernel"
    if newest in kills.others:
        return "proved", kills.others[0].killer
    return ("likely" if kills.events[kills.events.index(newest)].quoted else "proved"), "kernel"  # type: ignore[arg-type]
