"""The search for kills in this machine's logs, or in saved ones: each kill once, however many logs have it."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.reader import IDENTIFIERS, find_in_blocks, find_newest
from oomguard.errors import OomguardError, edge
from oomguard.formats.kernel_log import Notice, OomEvent, OtherKill, UnitNotice
from oomguard.kernel.logs.sources import boot_epoch, find_sources, named_sources, reading_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from oomguard.diagnosis.filter import KillFilter
    from oomguard.formats.kernel_log import LogFinding
    from oomguard.formats.kernel_log.records import LogTime
    from oomguard.kernel.logs.sources import Readable
    from oomguard.kernel.model import LogSource

_NEAR_SECONDS = 60.0  # apart, in which two lines may tell of one kill
_KEPT = 256  # kills that are kept whole; more are only counted


@dataclass(slots=True)
class FoundKills:
    """What was found so far, oldest first."""

    kills: deque[OomEvent | OtherKill] = field(default_factory=lambda: deque(maxlen=_KEPT))
    units: deque[UnitNotice] = field(default_factory=lambda: deque(maxlen=_KEPT))
    notices: deque[Notice] = field(default_factory=lambda: deque(maxlen=_KEPT))
    found: int = 0
    all_found: int = 0
    seen: set[tuple[int, str]] = field(default_factory=set)
    sources: list[LogSource] = field(default_factory=list)

    def notices_first(self) -> tuple[Notice, ...]:
        """Newest first; of what one program says in several lines, the one with a pid, which is where to look."""
        newest = tuple(reversed(self.notices))
        if not newest or newest[0].pid is not None:
            return newest
        best = next((each for each in newest if each.told_by == newest[0].told_by and each.pid is not None), None)
        return newest if best is None else (best, *(each for each in newest if each is not best))

    def newest_first(self) -> NewestFirst:
        """The kills in order, those that are told twice once."""
        kills = list(self.kills)
        kills.reverse()
        kills.sort(key=_age)  # two logs may have been read one after the other; those without a day stay in order
        kept, also_told = _fold(kills)
        return NewestFirst(
            kills=kept,
            events=[kill for kill in kept if isinstance(kill, OomEvent)],
            others=tuple(kill for kill in kept if isinstance(kill, OtherKill)),
            also_told=tuple(also_told),
        )


@dataclass(frozen=True, slots=True)
class NewestFirst:
    """The kills that were found, in order: all, by the kernel, by or from programs; and what was told of them twice."""

    kills: list[OomEvent | OtherKill]
    events: list[OomEvent]
    others: tuple[OtherKill, ...]
    also_told: tuple[OtherKill, ...]

    @property
    def told_to_the_end(self) -> OomEvent | OtherKill | None:
        """The newest of which the log tells the end."""
        return next((kill for kill in self.kills if isinstance(kill, OtherKill) or kill.outcome != "unknown"), None)


def _age(kill: OomEvent | OtherKill) -> float:
    return -kill.time.epoch if kill.time and kill.time.epoch else 0.0


@edge
def search_machine(found_kills: FoundKills, found: list[Readable], kill_filter: KillFilter, *, every: bool) -> None:
    """Read this machine's logs. What covers this boot is read whole; older logs only until one tells of a kill."""
    booted = boot_epoch()
    for readable in found:
        older = readable.source.covers != "this boot"
        if found_kills.kills and older and not every:
            break
        source = readable.source
        if source.unread is None:
            try:
                older_kills = FoundKills() if older else found_kills
                search_source(
                    older_kills, readable, kill_filter, every=every, booted=booted if source.name == "kmsg" else None
                )
                if older:
                    _put_before(found_kills, older_kills)
            except OomguardError as error:
                source = dataclasses.replace(source, unread=reading_error(error), do=error.do)
        found_kills.sources.append(source)


@edge
def search_saved(found_kills: FoundKills, found: list[Readable], kill_filter: KillFilter, *, every: bool) -> None:
    """Read saved logs, newest first. One that cannot be read is noted, unless it is the only one.

    Raises: what reading the only one raises.
    """
    for readable in found:
        source = readable.source
        one = FoundKills()
        try:
            search_source(one, readable, kill_filter, every=every)
        except OomguardError as error:
            if len(found) == 1:
                raise
            source = dataclasses.replace(source, unread=reading_error(error), do=error.do)
        _put_before(found_kills, one)
        found_kills.sources.append(source)


def search_source(
    found_kills: FoundKills, readable: Readable, kill_filter: KillFilter, *, every: bool, booted: float | None = None
) -> None:
    """Read one log: all of it where a kill must be looked for, else its newest kills."""
    if every or str(kill_filter):
        _collect(found_kills, find_in_blocks(readable.read()), kill_filter, booted)
        return
    findings, before = find_newest(readable.read())
    _collect(found_kills, findings, kill_filter, booted)
    found_kills.found += before
    found_kills.all_found += before


def _put_before(found_kills: FoundKills, older: FoundKills) -> None:
    """Add an older log's kills; both ends of a rotation, and two logs of one machine, hold the same ones."""
    fresh = [kill for kill in older.kills if not _is_known(found_kills, kill)]
    found_kills.kills.extendleft(
        reversed(fresh[-(_KEPT - len(found_kills.kills)) :] if len(found_kills.kills) < _KEPT else [])
    )
    found_kills.units.extendleft(reversed(older.units))
    found_kills.notices.extendleft(reversed(older.notices))
    repeated = len(older.kills) - len(fresh)
    found_kills.found += older.found - repeated
    found_kills.all_found += older.all_found - repeated
    for kill in fresh:
        _remember(found_kills, kill)


def _is_known(found_kills: FoundKills, kill: OomEvent | OtherKill) -> bool:
    if isinstance(kill, OtherKill):
        return kill.pid is not None and (kill.pid, kill.name or "") in found_kills.seen
    return bool(kill.victims) and all((victim.pid, victim.name) in found_kills.seen for victim in kill.victims)


def _remember(found_kills: FoundKills, kill: OomEvent | OtherKill) -> None:
    if isinstance(kill, OtherKill):
        if kill.pid is not None:
            found_kills.seen.add((kill.pid, kill.name or ""))
    elif len(found_kills.seen) < 65536:
        found_kills.seen.update((victim.pid, victim.name) for victim in kill.victims)


def _collect(
    found_kills: FoundKills, findings: Iterable[LogFinding], kill_filter: KillFilter, booted: float | None
) -> None:
    in_another_log = set(found_kills.seen)
    for finding in findings:
        timed = dataclasses.replace(finding, time=_dated(finding.time, booted)) if booted else finding
        if isinstance(timed, UnitNotice | Notice):
            if not kill_filter.fits(timed):
                continue
            if isinstance(timed, UnitNotice):
                found_kills.units.append(timed)
            else:
                found_kills.notices.append(timed)
            continue
        found_kills.all_found += 1
        if (
            isinstance(timed, OomEvent)
            and timed.victims
            and all((v.pid, v.name) in in_another_log for v in timed.victims)
        ):
            found_kills.all_found -= 1
            continue
        if kill_filter.fits(timed):
            found_kills.found += 1
            found_kills.kills.append(timed)
            _remember(found_kills, timed)


def _dated(when: LogTime | None, booted: float) -> LogTime | None:
    """Add the day to a time that counts from boot."""
    if when is None or when.monotonic is None or when.epoch is not None:
        return when
    epoch = booted + when.monotonic
    text = datetime.fromtimestamp(epoch, UTC).astimezone().isoformat(timespec="seconds")
    return dataclasses.replace(when, text=text, epoch=epoch)


def machine_logs(root: Path) -> list[Readable]:
    """The logs of this machine where a kill may be told of, the most telling first."""
    return find_sources(root, IDENTIFIERS)


def saved_logs(logs: list[str]) -> list[Readable]:
    """Files, folders of them, or "-", as the user named them."""
    return named_sources(logs)


def _fold(kills: Sequence[OomEvent | OtherKill]) -> tuple[list[OomEvent | OtherKill], list[OtherKill]]:
    """Give the kills without those that an event of the kernel tells of as well, and these.

    A kill that is told twice is one: by the kernel, and by a program that asked for it or heard of it.
    """
    events = [kill for kill in kills if isinstance(kill, OomEvent)]
    kept: list[OomEvent | OtherKill] = []
    also: list[OtherKill] = []
    claimed: set[int] = set()
    for kill in kills:
        event = None if isinstance(kill, OomEvent) else _event_of(kill, events, claimed)
        if isinstance(kill, OtherKill) and event is not None:
            claimed.add(id(event))
            also.append(kill)
        else:
            kept.append(kill)
    return kept, also


def _event_of(kill: OtherKill, events: list[OomEvent], claimed: set[int]) -> OomEvent | None:
    """The kernel's report of the same kill. By pid; else, where only the kernel kills, one of a cgroup near in time."""
    for event in events:
        if not _may_be_near(kill, event):
            continue
        if kill.pid is not None:
            if any(victim.pid == kill.pid for victim in event.victims):
                return event
        elif (
            (kill.killer == "kernel" or kill.told_by in ("slurm", "slurm-status"))
            and event.constraint == "memcg"
            and id(event) not in claimed
        ):
            return event
    return None


def _may_be_near(kill: OtherKill, event: OomEvent) -> bool:
    said, logged = (each.time.epoch if each.time else None for each in (kill, event))
    return said is None or logged is None or abs(said - logged) <= _NEAR_SECONDS
