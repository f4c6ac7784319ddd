"""One kill told twice is one kill: by the kernel, and by a program that asked for it or heard of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.formats.kernel_log import OomEvent, OtherKill

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEAR_SECONDS = 60.0


def fold(kills: Sequence[OomEvent | OtherKill]) -> tuple[list[OomEvent | OtherKill], list[OtherKill]]:
    """Give the kills without those that an event of the kernel tells of as well, and these."""
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
        elif kill.killer in ("kernel", "slurm") and event.constraint == "memcg" and id(event) not in claimed:
            return event
    return None


def _may_be_near(kill: OtherKill, event: OomEvent) -> bool:
    said, logged = (each.time.epoch if each.time else None for each in (kill, event))
    return said is None or logged is None or abs(said - logged) <= _NEAR_SECONDS
