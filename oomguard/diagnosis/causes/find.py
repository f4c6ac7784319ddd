"""Why the kernel killed: the first answer that the evidence supports, from the most special to plain exhaustion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.accounting import account_machine
from oomguard.diagnosis.causes.cgroup import describe_cgroup, explain_memcg
from oomguard.diagnosis.causes.machine import explain_machine, judge_zones
from oomguard.diagnosis.model import CounterFinding, KillCause
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.causes.machine import Pressure
    from oomguard.diagnosis.model import Accounting
    from oomguard.formats.cgroup import MemcgCounters, OomCounters
    from oomguard.formats.kernel_log import OomEvent


PLENTY = 0.05  # of the memory free: it was not simply full. Of ten plain exhaustions the fullest had 4.0 %

_CALLERS = {  # a function in the stack of the request, and what it was doing
    "copy_process": "starting a process or thread",
    "_do_fork": "starting a process or thread",
    "kernel_clone": "starting a process or thread",
    "__alloc_skb": "sending or receiving on the network",
    "alloc_skb_with_frags": "sending or receiving on the network",
    "binder_alloc": "passing messages between Android processes",
    "kmalloc_order": "a driver or another part of the kernel that wants memory in one piece",
    "module_alloc": "loading a kernel module",
    "pipe_write": "writing to a pipe",
    "svc_alloc_arg": "the NFS server",
    "svc_recv": "the NFS server",
}


def find_cause(event: OomEvent) -> KillCause:
    """Decide why this event happened. Raises: nothing; an event that says too little has cause "unknown"."""
    machine = account_machine(event)
    if event.manual:
        return _manual(machine)
    if event.constraint == "memcg":
        return explain_memcg(event)
    if event.constraint in ("cpuset", "mempolicy"):
        return _bound(event, machine)
    pressure = judge_zones(event)
    special = _fragmented(event, machine, pressure) or _low_zone(machine, pressure) or _false_alarm(event, machine)
    return special or explain_machine(event, machine, pressure)


def free_text(machine: Accounting | None) -> str:
    """How much was free, of how much."""
    if machine is None:
        return "this log does not show how much memory was free"
    return f"{format_size(machine.free)} of {format_size(machine.total)} was free ({machine.free / machine.total:.0%})"


def _manual(machine: Accounting | None) -> KillCause:
    asked = "someone asked the kernel for it with the SysRq key, or wrote f to /proc/sysrq-trigger"
    return KillCause(
        kind="manual",
        why=f"{asked}. It is not a sign that memory ran out.",
        room=free_text(machine),
        filler=None,
        accounting=machine,
    )


def _bound(event: OomEvent, machine: Accounting | None) -> KillCause:
    nodes = event.nodemask if event.constraint == "mempolicy" and event.nodemask else event.mems_allowed
    where = f"memory node {nodes}" if nodes else "some of the machine's memory nodes"
    by = "its cpuset" if event.constraint == "cpuset" else "a memory policy (numactl, mbind)"
    room = free_text(machine)
    zones = event.mem_info.zones if event.mem_info else ()
    if zones and all(zone.name == "Movable" for zone in zones):
        room += "; the node holds only movable memory, which the kernel cannot use for itself: killing cannot help"
    elif machine is None:
        room = "this log does not show how full the other nodes were"
    return KillCause(
        kind=event.constraint or "unknown",  # type: ignore[arg-type]  # the parser's words
        why=(
            f"{by} lets the process use only {where}, whose memory was full. Memory of other nodes was out of its "
            "reach."
        ),
        room=room,
        filler="anon",
        accounting=machine,
        certain=event.constraint_text is not None,
        notes=() if event.constraint_text else ("this kernel does not print the limit; it is inferred from the nodes",),
    )


def _fragmented(event: OomEvent, machine: Accounting | None, pressure: Pressure | None) -> KillCause | None:
    if event.order is None or event.order < 1:
        return None
    size = format_size((event.page_size or 4096) << event.order)
    if pressure is not None and (pressure.below_min or pressure.block_free):
        return None
    if pressure is None and event.mem_info is not None and event.mem_info.pages:
        return None
    caller = next((_CALLERS[name] for name in event.trace if name in _CALLERS), None)
    who = f"the kernel ({caller})" if caller else "the kernel"
    known = pressure is not None and pressure.block_free is False
    why = f"{who} needed {size} in one piece, and free memory was only left in smaller pieces: it is fragmented."
    if not known:
        why = (
            f"{who} needed {size} in one piece; the log does not show what was free, so fragmentation "
            "is likely, not proved."
        )
    room = free_text(machine)
    if pressure is not None and pressure.free_usable < 0.5 * (machine.free if machine else 0):
        room += f", but only {format_size(pressure.free_usable)} of that where this request could use it"
    return KillCause(kind="fragmentation", why=why, room=room, filler=None, accounting=machine, certain=known)


def _low_zone(machine: Accounting | None, pressure: Pressure | None) -> KillCause | None:
    if pressure is None:
        return None
    enough = pressure.free_unusable > max(pressure.free_usable, PLENTY * (machine.total if machine else 0))
    if not (pressure.short and pressure.unusable and enough):
        return None
    names = " and ".join(dict.fromkeys(zone.name for zone in pressure.usable)) or "low"
    others = " and ".join(dict.fromkeys(zone.name for zone in pressure.unusable))
    stacks = sum(zone.kernel_stack or 0 for zone in pressure.usable)
    tables = sum(zone.pagetables or 0 for zone in pressure.usable)
    held = (
        f" It held {format_size(stacks)} of kernel stacks and {format_size(tables)} of page tables." if stacks else ""
    )
    is_32bit = any(zone.name == "HighMem" for zone in pressure.unusable)
    system = " on a 32-bit system" if is_32bit else ""
    return KillCause(
        kind="low_zone",
        why=(
            f"the part of the memory that the kernel itself must use (zone {names}){system} was full, "
            f"while zone {others} had room.{held}"
        ),
        room=f"{format_size(pressure.free_unusable)} free in {others}, {format_size(pressure.free_usable)} in {names}",
        filler="kernel",
        accounting=machine,
    )


def _false_alarm(event: OomEvent, machine: Accounting | None) -> KillCause | None:
    if event.gfp_mask != 0 or (machine is not None and machine.free <= PLENTY * machine.total):
        return None
    why = "a page fault failed for a reason that the log does not name, and the kernel mistook it for lack of memory."
    if event.slab_memcg:
        why = (
            f"the container or group {event.slab_memcg[:24]} reached its limit for kernel memory: the kernel's own "
            "allocations were refused there, and a page fault that failed because of it was mistaken for lack of "
            "memory."
        )
    elif event.slab_refused:
        why = (
            "allocations of the kernel itself had been refused just before; a page fault that failed because of it "
            "was mistaken for lack of memory."
        )
    return KillCause(
        kind="false_alarm",
        why=why,
        room=f"{free_text(machine)}: the machine itself had not run out" if machine else free_text(machine),
        filler="kernel" if event.slab_refused else None,
        accounting=machine,
        certain=machine is not None,
    )


# What counters prove, where no log could be read.

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
