"""Whether swap will help at all, reported before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.swap.model import SwapConcern
from oomguard.text import as_root, shell_word
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.swap.model import PlaceFacts, SwapMachine

_SLOW_BYTES_PER_SECOND = 150e6
_ZSWAP_ON = "echo Y | sudo tee /sys/module/zswap/parameters/enabled"


def swap_concerns(
    place: PlaceFacts, machine: SwapMachine, size: int, *, peak: int | None = None, persist: bool = False
) -> tuple[SwapConcern, ...]:
    """Give what speaks against swap of `size` bytes there, what slows it down, and what to know.

    `peak` is what the job is predicted to need, where that is known.
    """
    found = (
        _closed_for_us(machine, size),
        _thrashing(machine, size, peak),
        _slow_disk(place),
        _loop_device(place),
        _zram(machine),
        _zswap(machine),
        _btrfs(place),
        _not_mounted_at_boot(place, machine) if persist else None,
    )
    return tuple(concern for concern in found if concern is not None)


def _closed_for_us(machine: SwapMachine, size: int) -> SwapConcern | None:
    if machine.swap_max is None or machine.swap_max >= size:
        return None
    if machine.swap_max > 0:
        return SwapConcern(
            effect="note",
            text=f"{machine.swap_max_of} allows what runs here only {format_size(machine.swap_max)} of swap",
        )
    return SwapConcern(
        effect="none",
        text=f"{machine.swap_max_of} may not swap (memory.swap.max is 0): nothing started from here can use it; "
        "other programs of this machine can. To allow it for a job (in Docker: docker run --memory-swap SIZE):",
        command="systemd-run --scope -p MemorySwapMax=infinity COMMAND",
    )


def _thrashing(machine: SwapMachine, size: int, peak: int | None) -> SwapConcern | None:
    if machine.ram is None:
        return None
    needed = peak if peak is not None else machine.ram + size
    if needed <= 2 * machine.ram:
        return None
    whose = "the job needs" if peak is not None else "memory and this swap together are"
    return SwapConcern(
        effect="slow",
        text=f"{whose} {format_size(needed)}, and this machine has {format_size(machine.ram)}: a job that uses "
        "all of it again and again in random order (Python dicts and lists of objects) would mostly wait for the disk; "
        "one that fills it once and reads it in order (arrays, tables) is fine",
    )


def _slow_disk(place: PlaceFacts) -> SwapConcern | None:
    disk = place.disk
    if disk.kind == "network":
        return SwapConcern(
            effect="slow",
            text=f"{disk.name} is a network disk: the kernel may need memory to free memory, "
            "and hang when there is none",
        )
    if disk.kind in ("hdd", "card"):
        what = "is a spinning disk" if disk.kind == "hdd" else "is a memory card, which many small writes wear out"
        return SwapConcern(
            effect="slow", text=f"{disk.name} {what}: pages are read back in random order at about 1 MB/s"
        )
    if disk.measured and disk.bytes_per_second < _SLOW_BYTES_PER_SECOND:
        return SwapConcern(effect="slow", text=f"{disk.name} reads only {disk.bytes_per_second / 1e6:.0f} MB/s")
    return None


def _loop_device(place: PlaceFacts) -> SwapConcern | None:
    if place.disk.kind != "loop":
        return None
    return SwapConcern(
        effect="note", text=f"{place.disk.name} is a file in another file system: good for a test, slow for real work"
    )


def _zram(machine: SwapMachine) -> SwapConcern | None:
    zram = [area for area in machine.areas if area.is_zram]
    if not zram:
        return None
    return SwapConcern(
        effect="note",
        text=f"zram is in use already ({zram[0].path}, {format_size(zram[0].size)}, priority "
        f"{zram[0].priority}) and is filled first, so that the pages swapped last, which are needed soonest, go to the "
        "disk. On a fast disk, zswap in front of it works better; to remove the zram:",
        command=as_root(f"swap remove {shell_word(zram[0].path)}"),
    )


def _zswap(machine: SwapMachine) -> SwapConcern | None:
    if machine.zswap is not False or any(area.is_zram for area in machine.areas):
        return None
    return SwapConcern(
        effect="note",
        text="zswap is off; it keeps compressed pages in memory before they go to the disk. To switch it on:",
        command=_ZSWAP_ON,
    )


def _btrfs(place: PlaceFacts) -> SwapConcern | None:
    if place.file_system != "btrfs":
        return None
    if place.new_subvolume is not None:
        text = "snapshots still work, as the file gets a subvolume of its own; balance and resize wait until it is off"
    else:
        text = "while it is on, its subvolume cannot be snapshotted; a --path in a new folder avoids that"
    return SwapConcern(effect="note", text=text)


def _not_mounted_at_boot(place: PlaceFacts, machine: SwapMachine) -> SwapConcern | None:
    if place.mount_point == "/" or place.mount_point in machine.fstab_targets:
        return None
    return SwapConcern(
        effect="note",
        text=f"fstab does not mount {place.mount_point}: unless something else does, the swap is missing at boot",
    )
