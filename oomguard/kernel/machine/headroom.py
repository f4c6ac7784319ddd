"""How much memory a new job may really use: what the machine has left, and every cgroup above us."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oomguard.errors import NothingFound
from oomguard.formats.meminfo import parse_meminfo
from oomguard.kernel.cgroup.directory import MemcgDir, find_own_memcg, read_kernel_text
from oomguard.units import format_size


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRoom:
    """What one memory limit still leaves. Units: bytes."""

    whose: str  # in words for people: "this machine's free memory", "the memory limit of cgroup /x (4.0 GiB)"
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What a new job may use now. Units: bytes."""

    available: int  # the least of `rooms`
    limited_by: str  # whose that is, in words for people
    machine_available: int
    rooms: tuple[LimitRoom, ...]  # the machine's first, then the own cgroup's and outwards


def read_headroom(root: Path = Path("/")) -> Headroom:
    """Read what is left now, of the machine and of each cgroup limit that holds for this process.

    A cgroup has left its limit less its unreclaimable memory: page cache in it would make room.
    Raises: NothingFound if /proc/meminfo does not say.
    """
    meminfo = parse_meminfo(read_kernel_text(root / "proc/meminfo") or "")
    machine = meminfo.available if meminfo.available is not None else meminfo.free
    if machine is None:
        raise NothingFound("/proc/meminfo does not say how much memory is available", do="mount -t proc proc /proc")
    own = find_own_memcg(root)
    limits = _limit_rooms(own) if own is not None else []
    rooms = (LimitRoom(whose="this machine's free memory", available=machine), *limits)
    tightest = min(rooms, key=lambda room: room.available)
    return Headroom(available=tightest.available, limited_by=tightest.whose, machine_available=machine, rooms=rooms)


def _limit_rooms(own: MemcgDir) -> list[LimitRoom]:
    rooms: list[LimitRoom] = []
    lowest_seen: int | None = None
    for memcg in own.ancestors():
        for limit, kind in ((memcg.memory_max(), "limit"), (memcg.memory_high(), "soft limit (memory.high)")):
            if limit is None:
                continue
            whose = f"the memory {kind} of cgroup {memcg.name} ({format_size(limit)})"
            rooms.append(_room(whose, limit, memcg))
            lowest_seen = limit if lowest_seen is None else min(lowest_seen, limit)
    hidden = own.hidden_memory_max()
    if hidden is not None and (lowest_seen is None or hidden < lowest_seen):
        # Its other users are as hidden as itself, so all that is known to be used there is our own part.
        rooms.append(_room(f"a memory limit above the visible cgroups ({format_size(hidden)})", hidden, own))
    return rooms


def _room(whose: str, limit: int, memcg: MemcgDir) -> LimitRoom:
    return LimitRoom(whose=whose, available=max(0, limit - (memcg.unreclaimable() or 0)))
