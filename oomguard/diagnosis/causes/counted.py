"""What counters prove, where no log could be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.names import describe_cgroup
from oomguard.diagnosis.model import CounterFinding
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.formats.cgroup import MemcgCounters, OomCounters

_FULL = 0.98


def explain_counters(counters: OomCounters, *, log_read: bool = False) -> CounterFinding:
    """Rank what the counters say: a kill in our own cgroup is likely ours, one in a shared machine possibly.

    `log_read`: the kernel's log was read and holds no kill, so that what was counted is older than it.
    """
    killed_in = next((memcg for memcg in counters.memcgs if memcg.oom_kills), None)
    if killed_in is not None:
        return _in_cgroup(killed_in, counters)
    kills = counters.machine_kills or 0
    if not kills:
        return CounterFinding(verdict="none", text="", limit_text="", oom_kills=0, since="")
    if counters.in_container:
        text = "the kernel killed something on this machine, perhaps in a container that cannot be seen from here"
    elif log_read:
        text = "the kernel killed something since this machine was started; the logs that were read no longer hold it"
    else:
        text = "the kernel killed something on this machine, but not in the cgroup of this shell that can be seen"
    return CounterFinding(
        verdict="possible" if counters.in_container or log_read else "likely",
        text=text,
        limit_text="the counters do not show which limit was reached, or whether it was the machine's memory",
        oom_kills=kills,
        since="since boot, on the whole machine",
        evidence=f"/proc/vmstat: oom_kill {kills}",
    )


def _in_cgroup(memcg: MemcgCounters, counters: OomCounters) -> CounterFinding:
    where = _words(memcg.name, counters)
    limited = next((above for above in counters.memcgs if above.limit is not None), None)
    room = "no memory limit can be seen from here, so it was the machine's memory that ran out"
    if limited is not None and limited.limit is not None:
        room = f"{_words(limited.name, counters)} is limited to {format_size(limited.limit)}"
        if limited.peak is not None:
            full = ": it was full" if limited.peak >= _FULL * limited.limit else ""
            room += f", and had up to {format_size(limited.peak)}{full}"
    return CounterFinding(
        verdict="likely",
        text=f"the kernel killed something in {where}, which this shell is in",
        limit_text=room,
        oom_kills=memcg.oom_kills,
        since="since this container was started"
        if memcg.name == "/" and counters.in_container
        else "since that group was made",
        memcg=memcg.name,
        evidence=f"{memcg.name}: oom_kill {memcg.oom_kills}",
    )


def _words(name: str, counters: OomCounters) -> str:
    """A container sees its own cgroup as the root of all."""
    return "this container" if name == "/" and counters.in_container else describe_cgroup(name).words
