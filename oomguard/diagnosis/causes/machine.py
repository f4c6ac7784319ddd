"""What the machine itself was full of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import KillCause
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.causes.model import Accounting, Filler
    from oomguard.diagnosis.causes.zones import Pressure
    from oomguard.formats.kernel_log import OomEvent

_PLENTY = 0.05
_UNACCOUNTED = 0.12  # of the memory; up to 3.1 % was seen where processes had filled it, 20 % and more else
_VIRTUAL = (
    "VMware",
    "VirtualBox",
    "QEMU",
    "KVM",
    "Hyper-V",
    "Virtual Machine",
    "Xen",
    "HVM",
    "OpenStack",
    "Google Compute",
    "Amazon EC2",
    "innotek",
)

_TEXTS: dict[Filler, str] = {
    "anon": "programs filled it with their own data",
    "shmem": "files in /dev/shm or a tmpfs, or memory shared between processes, filled it",
    "cache": "file data that could not be given back in time filled it",
    "dirty": "file data that was not yet written to disk filled it",
    "slab": "the kernel's own objects (slab) filled it, not a program",
    "pagetables": "page tables filled it",
    "stacks": "kernel stacks filled it: there were too many threads",
    "hugetlb": "huge pages that somebody reserved filled it",
    "unaccounted": "something that the kernel does not list filled it",
    "kernel": "the kernel itself filled it",
    "sock": "network buffers filled it",
}


def explain_machine(event: OomEvent, machine: Accounting | None, pressure: Pressure | None) -> KillCause:
    """Name what held most of the memory, and how swap was."""
    if machine is None:
        return _without_counters(event)
    if machine.free > _PLENTY * machine.total and pressure is not None and not pressure.short:
        return KillCause(
            kind="unknown",
            why=(
                "memory was still free where this request could use it. The log does not say what kept "
                "the kernel from taking it."
            ),
            room=_room(event, machine),
            filler=None,
            accounting=machine,
            certain=False,
        )
    filler, size = largest_filler(machine)
    why = f"the whole machine ran out of memory: {_TEXTS[filler]} ({format_size(size)} of {format_size(machine.total)})"
    if filler == "unaccounted":
        why += f". {where_unlisted(event)}"
    elif machine.unaccounted > _UNACCOUNTED * machine.total:
        why += f", and {format_size(machine.unaccounted)} is in nothing that the kernel lists. {where_unlisted(event)}"
    return KillCause(
        kind="exhaustion",
        why=why.rstrip(".") + ".",
        room=_room(event, machine),
        filler=filler,
        accounting=machine,
        notes=machine.notes,
    )


def largest_filler(machine: Accounting) -> tuple[Filler, int]:
    """What held most, and how much. Shared memory counts for itself when it is most of the processes' part."""
    if machine.unaccounted > _UNACCOUNTED * machine.total and machine.unaccounted > machine.size_of("anon"):
        return "unaccounted", machine.unaccounted
    sizes: dict[Filler, int] = {
        "anon": machine.size_of("anon") + machine.size_of("unevictable"),
        "cache": machine.size_of("cache"),
        "slab": machine.size_of("slab"),
        "pagetables": machine.size_of("pagetables"),
        "stacks": machine.size_of("stacks"),
        "hugetlb": machine.size_of("hugetlb"),
    }
    filler = max(sizes, key=sizes.__getitem__)
    if filler == "anon" and machine.size_of("shmem") > sizes["anon"] / 2:
        return "shmem", machine.size_of("shmem")
    if filler == "cache" and machine.size_of("dirty") > sizes["cache"] / 2:
        return "dirty", machine.size_of("dirty")
    return filler, sizes[filler]


def where_unlisted(event: OomEvent) -> str:
    """Where memory is most likely that no counter lists."""
    mem_info = event.mem_info
    total, free = (mem_info.swap_total, mem_info.swap_free) if mem_info else (None, None)
    if total and free is not None and total - free > total / 4:
        return "Most likely: swap in memory itself (zram), whose compressed pages no counter shows"
    if event.hardware and any(name in event.hardware for name in _VIRTUAL):
        return "Most likely: the host took it back (balloon) from this virtual machine"
    if event.tainted and set(event.tainted) & {"P", "O"}:
        return "Most likely: a driver from outside the kernel (a GPU's, for example)"
    return "Most likely: memory that the kernel or a driver took and did not give back (a leak)"


def _room(event: OomEvent, machine: Accounting) -> str:
    free = f"{format_size(machine.free)} of {format_size(machine.total)} was free ({machine.free / machine.total:.1%})"
    return f"{free}; {swap_text(event)}"


def swap_text(event: OomEvent) -> str:
    """What swap there was."""
    mem_info = event.mem_info
    if mem_info is None or mem_info.swap_total is None:
        return "the log does not tell about swap"
    if mem_info.swap_total == 0:
        return "no swap"
    if mem_info.swap_free is None:
        return f"{format_size(mem_info.swap_total)} of swap"
    if mem_info.swap_free < 0.03 * mem_info.swap_total:
        return f"all {format_size(mem_info.swap_total)} of swap was full"
    return f"{format_size(mem_info.swap_free)} of {format_size(mem_info.swap_total)} of swap was free, and did not help"


def _without_counters(event: OomEvent) -> KillCause:
    certain = event.constraint == "global"
    why = (
        "the whole machine ran out of memory."
        if certain
        else "the log does not say which limit was reached, the machine's or a container's."
    )
    return KillCause(
        kind="exhaustion" if certain else "unknown",
        why=why,
        room="how full the memory was is not in this log",
        filler="anon" if certain else None,
        accounting=None,
        certain=False,
    )
