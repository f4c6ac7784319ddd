"""What the machine itself was full of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.diagnosis.model import KillCause
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.model import Accounting, Filler
    from oomguard.formats.kernel_log import OomEvent, Zone

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
    "anon": "the processes' own (anonymous) memory filled it",
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
_HIGH_ZONES = frozenset({"HighMem", "Movable"})
# Which entry of lowmem_reserve[] holds what a zone keeps back from requests that could use up to Normal memory.
_NORMAL_ENTRY = {3: 1, 4: 1, 5: 2}
_GFP_DMA, _GFP_HIGHMEM, _GFP_DMA32 = 0x01, 0x02, 0x04  # the same bits in every kernel


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
        why += "the counters in this log are incomplete, so they do not show what filled it"
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
        return "Most likely: zswap, which keeps swapped pages compressed in memory (up to 20% of it by default)"
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
        return "this log does not show how full the memory was"
    told = [swap_text(event)] if mem_info.swap_total is not None else []
    if mem_info.ram_pages is not None:
        ram = format_size(mem_info.ram_pages * (event.page_size or 4096))
        told.insert(0, f"this log does not show how much of the {ram} of RAM was free")
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


# Whether the memory that was free could have served the request: zones, watermarks, free blocks, migrate types.
#
# Source: Linux mm/page_alloc.c, __zone_watermark_ok() and fallbacks[]; include/linux/gfp_types.h.


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The zones that the request could use, as the kernel checked them. Sizes in bytes."""

    usable: tuple[Zone, ...]
    unusable: tuple[Zone, ...]
    below_min: bool  # each usable zone is below what it must keep
    short: bool  # or hardly above: the counters are printed after the decision, while pages come and go
    free_usable: int  # without what is kept for movable pages (CMA)
    free_unusable: int  # free in zones that the request could not use
    block_free: bool | None  # a free block large enough that the request could take; None: not told


def judge_zones(event: OomEvent) -> Pressure | None:
    """Look at the zones with the request's eyes. None: the report has none."""
    mem_info = event.mem_info
    zones = tuple(zone for zone in mem_info.zones if zone.free is not None and zone.min is not None) if mem_info else ()
    if not zones:
        return None
    usable = tuple(zone for zone in zones if zone.name in _allowed(event, {zone.name for zone in zones}))
    movable = "MOVABLE" in (event.gfp_flags or "")
    free_usable = sum(_free(zone, movable=movable) for zone in usable)
    page = event.page_size or 4096
    return Pressure(
        usable=usable,
        unusable=tuple(zone for zone in zones if zone not in usable),
        below_min=all(_lacks(zone, page, 1.0, movable=movable, high=_may_use_high(event)) for zone in usable),
        short=all(_lacks(zone, page, 1.1, movable=movable, high=_may_use_high(event)) for zone in usable),
        free_usable=free_usable,
        free_unusable=sum(zone.free or 0 for zone in zones) - sum(zone.free or 0 for zone in usable),
        block_free=_has_block(event, usable, page, movable=movable),
    )


def _may_use_high(event: OomEvent) -> bool:
    if event.gfp_flags:
        return "HIGHUSER" in event.gfp_flags or "__GFP_HIGHMEM" in event.gfp_flags
    return event.gfp_mask is None or bool(event.gfp_mask & _GFP_HIGHMEM)


def _allowed(event: OomEvent, names: set[str]) -> set[str]:
    flags, mask = event.gfp_flags or "", event.gfp_mask or 0
    if "DMA32" in flags or (not flags and mask & _GFP_DMA32):
        return names & {"DMA", "DMA32"}
    if "GFP_DMA" in flags or (not flags and mask & _GFP_DMA):
        return names & {"DMA"}
    return names if _may_use_high(event) else names - _HIGH_ZONES


def _free(zone: Zone, *, movable: bool) -> int:
    return max(0, (zone.free or 0) - (0 if movable else zone.free_cma or 0))


def _lacks(zone: Zone, page: int, factor: float, *, movable: bool, high: bool) -> bool:
    entry = -1 if high else _NORMAL_ENTRY.get(len(zone.reserve), -1)
    reserve = max(zone.reserve, default=0) if high else zone.reserve[entry] if zone.reserve else 0
    return _free(zone, movable=movable) < factor * ((zone.min or 0) + reserve * page)


def _has_block(event: OomEvent, usable: tuple[Zone, ...], page: int, *, movable: bool) -> bool | None:
    order = event.order or 0
    if order <= 0 or not any(zone.free_blocks for zone in usable):
        return None
    for zone in usable:
        if (zone.free or 0) < (zone.min or 0):
            continue
        for size, count, types in zone.free_blocks:
            # C(MA) is for movable pages, H(ighatomic) for interrupts; before 3.19 no types are printed.
            takable = not types or set(types) - ({"H", "I"} if movable else {"C", "H", "I"})
            if count and size >= page << order and takable:
                return True
    return False
