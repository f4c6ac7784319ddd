"""What killed it: read the logs newest first, or the counters where there is none, and explain the kill."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, OomguardError
from oomguard.formats.kernel_log import OomEvent, OtherKill, UnitNotice
from oomguard.formats.kernel_log.log_stream import find_in_blocks, find_newest
from oomguard.linux.kernel_log import Readable, boot_epoch, find_sources, named_source, reading_error
from oomguard.linux.oom_counters import read_oom_counters, units_killed_for_memory
from oomguard.planning.common_advice import PYTHON_NAMES
from oomguard.planning.counted_kills import explain_counters
from oomguard.planning.kill_cause import find_cause
from oomguard.planning.oom_advice import SuspectScript, advise
from oomguard.planning.other_advice import advise_counters, advise_nothing_found, advise_other, advise_unit
from oomguard.results.diagnosis import Diagnosis, ExplainedEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.formats.kernel_log import LogFinding
    from oomguard.formats.kernel_log.records import LogTime
    from oomguard.formats.oom_counters import OomCounters
    from oomguard.results.diagnosis import Verdict
    from oomguard.results.kill_cause import Advice
    from oomguard.results.log_source import LogSource

_KEPT = 256  # kills that are kept whole; more are only counted
_COMM = 15  # bytes of a process's name that the kernel keeps
_AGO = re.compile(r"([0-9]{1,9})\s*(s|sec|min|m|h|d|days?|hours?|minutes?|seconds?)(?: ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which kills to look for. None: any. `pid` is the host's: one from inside a container is another."""

    since: float | None = None
    pid: int | None = None
    name: str | None = None
    script: str | None = None

    def __str__(self) -> str:
        parts = []
        if self.pid is not None:
            parts.append(f"pid {self.pid}")
        if self.name is not None:
            parts.append(f'name "{self.name}"')
        if self.script is not None:
            parts.append(f"a run of {self.script}")
        if self.since is not None:
            parts.append(f"since {datetime.fromtimestamp(self.since, UTC).astimezone().isoformat(timespec='seconds')}")
        return ", ".join(parts)

    def fits(self, finding: LogFinding) -> bool:
        """Whether a kill is one of those; one without a time fits any."""
        if self.since is not None and finding.time and finding.time.epoch and finding.time.epoch < self.since:
            return False
        if isinstance(finding, UnitNotice) or (self.pid is None and self.name is None and self.script is None):
            return True
        if isinstance(finding, OtherKill):
            return self._is(finding.pid, finding.name) or (
                self.name is not None and self.name in (finding.cgroup or "")
            )
        return any(self._is(victim.pid, victim.name) for victim in finding.victims)

    def _is(self, pid: int | None, name: str | None) -> bool:
        if self.pid is not None and pid != self.pid:
            return False
        if self.name is not None and (name is None or name[:_COMM] != self.name[:_COMM]):
            return False
        return self.script is None or (name is not None and may_run(self.script, name))


@dataclass(slots=True)
class _Collected:
    """What was found so far, oldest first."""

    kills: deque[OomEvent | OtherKill] = field(default_factory=lambda: deque(maxlen=_KEPT))
    units: deque[UnitNotice] = field(default_factory=lambda: deque(maxlen=_KEPT))
    found: int = 0
    all_found: int = 0
    seen: set[tuple[int, str]] = field(default_factory=set)


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
    collected = _Collected()
    if log is not None:
        readable = named_source(str(log))
        _read_source(collected, readable, wanted, every=every)
        return _conclude(collected, [readable.source], wanted, suspect, None)
    sources = _read_machine(collected, find_sources(root), wanted, every=every)
    counters = None
    if not collected.kills:
        collected.units.extend(unit for unit in units_killed_for_memory() if root == Path("/"))
        counters = read_oom_counters(root)
    return _conclude(collected, sources, wanted, suspect, counters)


def parse_since(text: str) -> float:
    """Read a point in time, in seconds since 1970: "2h", "30 min ago", "2026-11-25", "10:30", "today", "yesterday".

    Raises: BadInput for anything else.
    """
    now = time.time()
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    if text.strip() in ("today", "yesterday"):
        return today.timestamp() - (86400 if text.strip() == "yesterday" else 0)
    if age := _AGO.fullmatch(text.strip()):
        return now - int(age[1]) * _SECONDS[age[2][0]]
    for given in (text.strip(), f"{today.date().isoformat()} {text.strip()}"):
        try:
            return datetime.fromisoformat(given).astimezone().timestamp()
        except ValueError:
            continue
    raise BadInput(
        f'"{text}" is no time', do="write an age (30min, 2h, 3d) or a time (2026-11-25 10:30, 10:30, yesterday)"
    )


def may_run(script: str, name: str) -> bool:
    """Whether a process of this name may have run this script: the kernel tells 15 bytes of a name, no command line."""
    own = Path(script).name
    return name in (own[:_COMM], Path(own).stem[:_COMM]) or (own.endswith(".py") and name.startswith(PYTHON_NAMES))


def _read_machine(collected: _Collected, found: list[Readable], wanted: Wanted, *, every: bool) -> list[LogSource]:
    """Read this machine's logs. What covers this boot is read whole; older logs only until one tells of a kill."""
    booted = boot_epoch()
    sources = []
    for readable in found:
        older = readable.source.covers != "this boot"
        if collected.kills and older and not every:
            break
        source = readable.source
        if source.unread is None:
            try:
                older_kills = _Collected() if older else collected
                _read_source(
                    older_kills, readable, wanted, every=every, booted=booted if source.name == "kmsg" else None
                )
                if older:
                    _put_before(collected, older_kills)
            except OomguardError as error:
                source = dataclasses.replace(source, unread=reading_error(error), do=error.do)
        sources.append(source)
    return sources


def _read_source(
    collected: _Collected, readable: Readable, wanted: Wanted, *, every: bool, booted: float | None = None
) -> None:
    """Read one log: all of it where a kill must be looked for, else its newest kills."""
    if every or str(wanted):
        _collect(collected, find_in_blocks(readable.read()), wanted, booted)
        return
    findings, before = find_newest(readable.read())
    _collect(collected, findings, wanted, booted)
    collected.found += before
    collected.all_found += before


def _put_before(collected: _Collected, older: _Collected) -> None:
    """Add an older log's kills; both ends of a rotation, and two logs of one machine, hold the same ones."""
    fresh = [kill for kill in older.kills if not _is_known(collected, kill)]
    collected.kills.extendleft(
        reversed(fresh[-(_KEPT - len(collected.kills)) :] if len(collected.kills) < _KEPT else [])
    )
    collected.units.extendleft(reversed(older.units))
    repeated = len(older.kills) - len(fresh)
    collected.found += older.found - repeated
    collected.all_found += older.all_found - repeated
    for kill in fresh:
        _remember(collected, kill)


def _is_known(collected: _Collected, kill: OomEvent | OtherKill) -> bool:
    if isinstance(kill, OtherKill):
        return kill.pid is not None and (kill.pid, kill.name or "") in collected.seen
    return bool(kill.victims) and all((victim.pid, victim.name) in collected.seen for victim in kill.victims)


def _remember(collected: _Collected, kill: OomEvent | OtherKill) -> None:
    if isinstance(kill, OtherKill):
        if kill.pid is not None:
            collected.seen.add((kill.pid, kill.name or ""))
    elif len(collected.seen) < 65536:
        collected.seen.update((victim.pid, victim.name) for victim in kill.victims)


def _collect(collected: _Collected, findings: Iterable[LogFinding], wanted: Wanted, booted: float | None) -> None:
    in_another_log = set(collected.seen)
    for finding in findings:
        timed = dataclasses.replace(finding, time=_dated(finding.time, booted)) if booted else finding
        if isinstance(timed, UnitNotice):
            if wanted.fits(timed):
                collected.units.append(timed)
            continue
        collected.all_found += 1
        if (
            isinstance(timed, OomEvent)
            and timed.victims
            and all((v.pid, v.name) in in_another_log for v in timed.victims)
        ):
            collected.all_found -= 1
            continue
        if wanted.fits(timed):
            collected.found += 1
            collected.kills.append(timed)
            _remember(collected, timed)


def _dated(when: LogTime | None, booted: float) -> LogTime | None:
    """Add the day to a time that counts from boot."""
    if when is None or when.monotonic is None or when.epoch is not None:
        return when
    epoch = booted + when.monotonic
    text = datetime.fromtimestamp(epoch, UTC).astimezone().isoformat(timespec="seconds")
    return dataclasses.replace(when, text=text, epoch=epoch)


def _conclude(
    collected: _Collected,
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
    from oomguard.checking import check_script

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
    collected: _Collected,
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
