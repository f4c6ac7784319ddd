"""Why the kernel killed: the first answer that the evidence supports, from the most special to plain exhaustion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.accounting import account_machine
from oomguard.diagnosis.causes.cgroup import explain_memcg
from oomguard.diagnosis.causes.machine import explain_machine, judge_zones
from oomguard.diagnosis.causes.model import KillCause
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.causes.machine import Pressure
    from oomguard.diagnosis.causes.model import Accounting
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
