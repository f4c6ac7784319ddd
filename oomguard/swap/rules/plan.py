"""Facts about a place and a machine -> whether swap will help, and the steps that make it, or why not."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.errors import SwapRefused
from oomguard.formats.mounts import swap_line
from oomguard.swap.model import SwapConcern, SwapPlan, SwapStep
from oomguard.swap.rules.refusals import (
    check_file_system,
    check_machine,
    check_path,
    check_room,
    check_size,
    largest_size,
)
from oomguard.text import as_root, shell_word
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.swap.model import PlaceFacts, SwapMachine
    from oomguard.swap.rules.refusals import SwapRecipe

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
        "other programs on this machine can. To allow it for a job (in Docker: docker run --memory-swap SIZE):",
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
        text=f"{whose} {format_size(needed)}, and this machine has {format_size(machine.ram)} of RAM: a job that uses "
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
        f"{zram[0].priority}) and is filled first, so the pages swapped last, which are needed soonest, go to the "
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
        text = (
            "snapshots still work, as the file gets its own subvolume; btrfs balance and resize have to wait until "
            "this swap is switched off"
        )
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


FSTAB_BACKUP = "/etc/fstab.before-oomguard"


def plan_swap_file(
    place: PlaceFacts,
    machine: SwapMachine,
    size: int,
    *,
    because: str = "",
    peak: int | None = None,
    priority: int | None = None,
    persist: bool = False,
    for_command: bool = False,
    as_root: bool = True,
) -> SwapPlan:
    """Decide how a swap file of `size` bytes (or a little more) is made at `place`.

    Raises: SwapRefused where that cannot or should not be.
    """
    check_machine(machine)
    recipe = check_file_system(place, machine)
    check_path(place)
    size = -(-size // recipe.granule) * recipe.granule
    check_size(size)
    check_room(place, size)
    fstab_line = swap_line(place.path, priority=priority) if persist else None
    return SwapPlan(
        size=size,
        because=because,
        place=place,
        priority=priority,
        persist=persist,
        for_command=for_command,
        fstab_line=fstab_line,
        steps=_steps(place, recipe, size, priority=priority, fstab_line=fstab_line),
        concerns=swap_concerns(place, machine, size, peak=peak, persist=persist),
        as_root=as_root,
    )


def no_swap_needed(because: str, *, as_root: bool) -> SwapPlan:
    """The plan for a job that fits: nothing to do."""
    return SwapPlan(
        size=0, because=because, place=None, priority=None, persist=False, for_command=False, fstab_line=None,
        steps=(), concerns=(), as_root=as_root,
    )  # fmt: skip


def pick_place(places: Sequence[PlaceFacts], size: int) -> PlaceFacts:
    """Give the fastest of the disks that have room for `size` bytes.

    Raises: SwapRefused if none has, with the one that comes nearest.
    """
    if not places:
        raise SwapRefused(
            "no disk here can hold a swap file: that needs a writable ext4, xfs or btrfs on a disk of this machine",
            do="oomguard swap --size SIZE --path FILE --dry-run  # says what is wrong with one place",
        )
    with_room = [place for place in places if largest_size(place) >= size]
    if not with_room:
        roomiest = max(places, key=largest_size)
        if len(places) == 1:
            check_room(roomiest, size)
        raise SwapRefused(
            f"{format_size(size)} fits on none of the {len(places)} disks: there is room for at most "
            f"{format_size(largest_size(roomiest))} on {roomiest.mount_point}, where 10% is kept free",
            do=f"oomguard swap --size {largest_size(roomiest) // MIB}M, or make room on one of them",
        )
    return max(with_room, key=lambda place: (place.disk.bytes_per_second, place.free))


def _steps(
    place: PlaceFacts, recipe: SwapRecipe, size: int, *, priority: int | None, fstab_line: str | None
) -> tuple[SwapStep, ...]:
    path = shlex.quote(place.path)
    steps: list[SwapStep] = []
    if place.new_subvolume is not None:
        steps.append(SwapStep(kind="subvolume", command=f"btrfs subvolume create {shlex.quote(place.new_subvolume)}"))
    # conv=excl: a new file, or none; and nobody else may read it before anything is in it.
    steps.append(SwapStep(kind="create", command=f"dd if=/dev/null of={path} conv=excl status=none"))
    steps.append(SwapStep(kind="mode", command=f"chmod 600 {path}"))
    if recipe.no_copy_on_write:
        steps.append(SwapStep(kind="no_copy_on_write", command=f"chattr +C {path}"))
    if recipe.pinned:
        steps.append(SwapStep(kind="pin", command=f"f2fs_io pinfile set {path}"))
    if recipe.fill == "fallocate":
        steps.append(SwapStep(kind="allocate", command=f"fallocate -l {size} {path}"))
    else:
        steps.append(
            SwapStep(
                kind="zeros",
                command=f"dd if=/dev/zero of={path} bs=1M count={size // MIB} conv=notrunc,fsync status=progress",
            )
        )
    on = "swapon" if priority is None else f"swapon -p {priority}"
    steps += [
        SwapStep(kind="format", command=f"mkswap {path}"),
        SwapStep(kind="enable", command=f"{on} {path}"),
        SwapStep(kind="verify", command="swapon --show"),
    ]
    if fstab_line is not None:
        steps.append(SwapStep(kind="backup", command=f"cp -p /etc/fstab {FSTAB_BACKUP}"))
        steps.append(SwapStep(kind="fstab", command="tee -a /etc/fstab", stdin=fstab_line))
    return tuple(steps)
