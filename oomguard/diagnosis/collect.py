"""The kills that this machine's logs, or a saved one, tell of: newest first, each once, however many logs have it."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from oomguard.errors import OomguardError
from oomguard.formats.kernel_log import OomEvent, OtherKill, UnitNotice
from oomguard.formats.kernel_log.log_stream import find_in_blocks, find_newest
from oomguard.kernel.logs.sources import boot_epoch, reading_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.diagnosis.filter import Wanted
    from oomguard.formats.kernel_log import LogFinding
    from oomguard.formats.kernel_log.records import LogTime
    from oomguard.kernel.logs.model import LogSource
    from oomguard.kernel.logs.sources import Readable

_KEPT = 256  # kills that are kept whole; more are only counted


@dataclass(slots=True)
class CollectedKills:
    """What was found so far, oldest first."""

    kills: deque[OomEvent | OtherKill] = field(default_factory=lambda: deque(maxlen=_KEPT))
    units: deque[UnitNotice] = field(default_factory=lambda: deque(maxlen=_KEPT))
    found: int = 0
    all_found: int = 0
    seen: set[tuple[int, str]] = field(default_factory=set)


def read_machine(collected: CollectedKills, found: list[Readable], wanted: Wanted, *, every: bool) -> list[LogSource]:
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
                older_kills = CollectedKills() if older else collected
                read_source(
                    older_kills, readable, wanted, every=every, booted=booted if source.name == "kmsg" else None
                )
                if older:
                    _put_before(collected, older_kills)
            except OomguardError as error:
                source = dataclasses.replace(source, unread=reading_error(error), do=error.do)
        sources.append(source)
    return sources


def read_source(
    collected: CollectedKills, readable: Readable, wanted: Wanted, *, every: bool, booted: float | None = None
) -> None:
    """Read one log: all of it where a kill must be looked for, else its newest kills."""
    if every or str(wanted):
        _collect(collected, find_in_blocks(readable.read()), wanted, booted)
        return
    findings, before = find_newest(readable.read())
    _collect(collected, findings, wanted, booted)
    collected.found += before
    collected.all_found += before


def _put_before(collected: CollectedKills, older: CollectedKills) -> None:
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


def _is_known(collected: CollectedKills, kill: OomEvent | OtherKill) -> bool:
    if isinstance(kill, OtherKill):
        return kill.pid is not None and (kill.pid, kill.name or "") in collected.seen
    return bool(kill.victims) and all((victim.pid, victim.name) in collected.seen for victim in kill.victims)


def _remember(collected: CollectedKills, kill: OomEvent | OtherKill) -> None:
    if isinstance(kill, OtherKill):
        if kill.pid is not None:
            collected.seen.add((kill.pid, kill.name or ""))
    elif len(collected.seen) < 65536:
        collected.seen.update((victim.pid, victim.name) for victim in kill.victims)


def _collect(collected: CollectedKills, findings: Iterable[LogFinding], wanted: Wanted, booted: float | None) -> None:
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
