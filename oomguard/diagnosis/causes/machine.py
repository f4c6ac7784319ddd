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
_INCOMPLETE = 0.9  # of the memory listed nowhere: lines are missing, or are of a kind that is not known
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
    "hugetlb": "reserved huge pages filled it",
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
    if filler is None or _before_any_program(event):
        return _without_filler(event, machine)
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


def largest_filler(machine: Accounting) -> tuple[Filler | None, int]:
    """What held most, and how much. Shared memory counts for itself when it is most of the processes' part.

    None: nothing held half of what was used, or what was read is so little that counters must be missing.
    """
    used = machine.total - machine.free
    if not machine.complete and machine.unaccounted > _INCOMPLETE * used:
        return None, 0
    filler, size = _largest(machine)
    return (filler, size) if size >= used / 2 else (None, 0)


def _largest(machine: Accounting) -> tuple[Filler, int]:
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


def _without_filler(event: OomEvent, machine: Accounting) -> KillCause:
    """Say what is known where nothing accounts for half."""
    why = "the whole machine ran out of memory; "
    if not machine.complete and machine.unaccounted > _INCOMPLETE * (machine.total - machine.free):
        why += "the counters in this log are incomplete: what filled it is not known from it"
    elif _before_any_program(event):
        why += f"no program was running yet: {format_size(machine.total)} was too little for the system to start"
    else:
        parts = [f"{share.label} {format_size(share.size)}" for share in machine.shares if share.within is None][:3]
        if machine.unaccounted > _UNACCOUNTED * machine.total:
            parts.append(f"in nothing that the kernel lists {format_size(machine.unaccounted)}")
        why += f"no single part held half of it: {', '.join(parts)} of {format_size(machine.total)}"
    return KillCause(
        kind="exhaustion",
        why=f"{why}.",
        room=_room(event, machine),
        filler=None,
        accounting=machine,
        notes=machine.notes,
    )


def _before_any_program(event: OomEvent) -> bool:
    """The table of processes is there, and empty."""
    return event.tasks is not None and event.tasks.killable == 0 and not event.tasks.rows and not event.victims


def swap_in_memory(event: OomEvent) -> str | None:
    """Whether swapped pages took memory all the same: "zram", "zswap"; "disk": they did not; None: not told."""
    if event.swap is None:
        return None
    if event.swap.in_memory:
        return "zram"
    if event.swap.zswap:
        return "zswap"
    return "disk" if event.swap.devices else None


def where_unlisted(event: OomEvent) -> str:
    """Where memory is most likely that no counter lists: one place only where the log names it."""
    mem_info = event.mem_info
    total, free = (mem_info.swap_total, mem_info.swap_free) if mem_info else (None, None)
    swapped = bool(total and free is not None and total - free > total / 4)
    where = swap_in_memory(event)
    if swapped and where == "zram":
        return "Most likely: swap in memory itself (zram), whose compressed pages no counter shows"
    if swapped and where == "zswap":
        return "Most likely: zswap, which keeps swapped pages compressed in memory (up to 20 % of it unless set)"
    if swapped and where is None:
        driver = ", a driver from outside the kernel (it is tainted)" if _is_tainted(event) else ", a driver"
        return f"It may be swap in memory itself (zram, zswap){driver}, or a leak: the log does not say which"
    if event.hardware and any(name in event.hardware for name in _VIRTUAL):
        return "Most likely: the host took it back (balloon) from this virtual machine"
    if _is_tainted(event):
        return "Most likely: a driver from outside the kernel (a GPU's, for example)"
    return "Most likely: memory that the kernel or a driver took and did not give back (a leak)"


def _is_tainted(event: OomEvent) -> bool:
    return bool(event.tainted and set(event.tainted) & {"P", "O"})


def _room(event: OomEvent, machine: Accounting) -> str:
    free = f"{format_size(machine.free)} of {format_size(machine.total)} was free ({machine.free / machine.total:.1%})"
    return f"{free}; {swap_text(event)}"


def swap_text(event: OomEvent) -> str:
    """What swap there was."""
    mem_info = event.mem_info
    if mem_info is None or mem_info.swap_total is None:
        return "the log says nothing about swap"
    if mem_info.swap_total == 0:
        return "no swap"
    if mem_info.swap_free is None:
        return f"{format_size(mem_info.swap_total)} of swap"
    if mem_info.swap_free < 0.03 * mem_info.swap_total:
        return f"all {format_size(mem_info.swap_total)} of swap was full"
    return f"{format_size(mem_info.swap_free)} of {format_size(mem_info.swap_total)} of swap was free, and did not help"


def _room_without_counters(event: OomEvent) -> str:
    mem_info = event.mem_info
    if mem_info is None or (mem_info.ram_pages is None and mem_info.swap_total is None):
        return "how full the memory was is not in this log"
    told = [swap_text(event)] if mem_info.swap_total is not None else []
    if mem_info.ram_pages is not None:
        ram = format_size(mem_info.ram_pages * (event.page_size or 4096))
        told.insert(0, f"how much of {ram} of RAM was free is not in this log")
    return "; ".join(told)


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
        room=_room_without_counters(event),
        filler="anon" if certain and event.outcome == "killed" else None,
        accounting=None,
        certain=False,
    )
