"""What killed it: read the logs newest first, or the counters where there is none, and explain the kill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice.kernel import SuspectScript, advise
from oomguard.diagnosis.advice.killers import advise_counters, advise_nothing_found, advise_other, advise_unit
from oomguard.diagnosis.causes.counted import explain_counters
from oomguard.diagnosis.causes.find import find_cause
from oomguard.diagnosis.collect import CollectedKills, read_machine, read_source
from oomguard.diagnosis.filter import Wanted, parse_since
from oomguard.diagnosis.model import Diagnosis, ExplainedEvent
from oomguard.errors import OomguardError
from oomguard.formats.kernel_log import OomEvent, OtherKill, UnitNotice
from oomguard.kernel.logs.counters import read_oom_counters, units_killed_for_memory
from oomguard.kernel.logs.sources import find_sources, named_source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.diagnosis.causes.model import Advice
    from oomguard.diagnosis.model import Verdict
    from oomguard.formats.cgroup.oom_counters import OomCounters
    from oomguard.kernel.logs.model import LogSource


def diagnose(
    log: str | Path | None = None,
    *,
    since: str | None = None,
    pid: int | None = None,
    name: str | None = None,
    script: str | None = None,
    input_file: str | None = None,
    every: bool = False,
    root: Path = Path("/"),
) -> Diagnosis:
    """Explain the newest kill for lack of memory, in a saved log or (None) on this machine.

    `log` is a file, plain or packed, or "-" for standard input. `since` is a time (2026-11-25, 10:30) or an age
    (2h); `pid` and `name` are the victim's; `every` reads all logs instead of stopping at the newest that tells
    of a kill. `script` is the user's program: only kills that may have been it are looked at, and the advice names its
    line that holds most; `input_file` is what it was to read.
    Raises: NothingFound, NeedsPrivilege or BadInput if `log` cannot be read; BadInput for a bad `since`. Finding
    no kill is no error: the verdict is "none".
    """
    suspect = None if script is None else _suspect(script, input_file)
    wanted = Wanted(since=parse_since(since) if since else None, pid=pid, name=name or None, script=script)
    collected = CollectedKills()
    if log is not None:
        readable = named_source(str(log))
        read_source(collected, readable, wanted, every=every)
        return _conclude(collected, [readable.source], wanted, suspect, None)
    sources = read_machine(collected, find_sources(root), wanted, every=every)
    counters = None
    if not collected.kills:
        collected.units.extend(unit for unit in units_killed_for_memory() if root == Path("/"))
        counters = read_oom_counters(root)
    return _conclude(collected, sources, wanted, suspect, counters)


def _conclude(
    collected: CollectedKills,
    sources: list[LogSource],
    wanted: Wanted,
    script: SuspectScript | None,
    counters: OomCounters | None,
) -> Diagnosis:
    newest_first = list(collected.kills)
    newest_first.reverse()
    newest_first.sort(key=_age)  # two logs may have been read one after the other; those without a day stay in order
    events = tuple(
        ExplainedEvent(event=kill, cause=find_cause(kill)) for kill in newest_first if isinstance(kill, OomEvent)
    )
    others = tuple(kill for kill in newest_first if isinstance(kill, OtherKill))
    ended = [kill for kill in newest_first if isinstance(kill, OtherKill) or kill.outcome != "unknown"]
    is_other = bool(ended) and isinstance(ended[0], OtherKill)
    counted = explain_counters(counters) if counters else None
    verdict, killer = _judge(newest_first, collected.units, counted.verdict if counted else "none")
    return Diagnosis(
        verdict=verdict,
        killer=killer,
        events=events,
        others=others,
        units=tuple(reversed(collected.units)),
        counters=counted if counted and counted.verdict != "none" else None,
        advice=tuple(_advice(events, others, is_other, verdict, collected, counters, script)),
        sources=tuple(sources),
        found=collected.found or collected.all_found,
        asked=str(wanted) or None,
        newest_is_other=is_other,
        main=_main(events),
    )


def _suspect(script: str, input_file: str | None) -> SuspectScript:
    """Read the script, where that is possible here: a log may come from another machine."""
    from oomguard.script_analysis.api import check_script

    try:
        findings = check_script(script).findings
    except OomguardError:
        findings = ()
    if not findings:
        return SuspectScript(path=script, input_file=input_file)
    most = max(findings, key=lambda finding: finding.held_per_byte)
    return SuspectScript(
        path=script, input_file=input_file, line=most.line, code=most.code, held_per_byte=most.held_per_byte
    )


def _age(kill: OomEvent | OtherKill) -> float:
    return -kill.time.epoch if kill.time and kill.time.epoch else 0.0


def _main(events: tuple[ExplainedEvent, ...]) -> ExplainedEvent | None:
    """The newest kill that the log tells the end of, rather than a report that is cut off after its first lines."""
    return next(
        (explained for explained in events if explained.event.outcome != "unknown"), events[0] if events else None
    )


def _judge(
    kills: list[OomEvent | OtherKill], units: Iterable[UnitNotice], counted: Verdict
) -> tuple[Verdict, str | None]:
    if not kills:
        if any(True for _ in units):
            return "likely", "kernel"
        return counted, None if counted == "none" else "kernel"
    newest = next((kill for kill in kills if isinstance(kill, OtherKill) or kill.outcome != "unknown"), kills[0])
    if isinstance(newest, OtherKill):
        return "proved", newest.killer
    return ("likely" if newest.quoted or newest.outcome == "unknown" else "proved"), "kernel"


def _advice(
    events: tuple[ExplainedEvent, ...],
    others: tuple[OtherKill, ...],
    is_other: bool,
    verdict: Verdict,
    collected: CollectedKills,
    counters: OomCounters | None,
    script: SuspectScript | None,
) -> list[Advice]:
    if is_other:
        return advise_other(others[0])
    if main := _main(events):
        return advise(main.event, main.cause, script=script)
    if collected.units:
        return advise_unit(collected.units[-1].unit)
    if counters is not None and verdict != "none":
        return advise_counters(batch_job=counters.batch_job, in_kubernetes=counters.in_kubernetes)
    return advise_nothing_found()
