"""Facts about a place and a machine -> the steps that make swap there, or the reason why not."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.errors import SwapRefused
from oomguard.formats.mounts import swap_line
from oomguard.swap.model import SwapPlan, SwapStep
from oomguard.swap.rules.concerns import swap_concerns
from oomguard.swap.rules.refusals import (
    check_file_system,
    check_machine,
    check_path,
    check_room,
    check_size,
    largest_size,
)
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.swap.model import PlaceFacts, SwapMachine
    from oomguard.swap.rules.refusals import SwapRecipe

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
            "no disk here can hold a swap file: that takes a writable ext4, xfs or btrfs on a disk of this machine",
            do="oomguard swap --size SIZE --path FILE --dry-run  # says what is wrong with one place",
        )
    with_room = [place for place in places if largest_size(place) >= size]
    if not with_room:
        roomiest = max(places, key=largest_size)
        if len(places) == 1:
            check_room(roomiest, size)
        raise SwapRefused(
            f"{format_size(size)} fits on none of the {len(places)} disks: there is room for at most "
            f"{format_size(largest_size(roomiest))} on {roomiest.mount_point}, where 10 % are kept free",
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
