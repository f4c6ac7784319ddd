"""Where no swap file is made, each refusal with its reason, both numbers and what works instead."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.errors import SwapRefused
from oomguard.swap.rules.recipes import NoRecipe, SwapRecipe, swap_recipe
from oomguard.units import KIB, MIB, format_size

if TYPE_CHECKING:
    from oomguard.swap.model import PlaceFacts, SwapMachine

KEEP_FREE = 0.1  # of the disk's whole size: a full disk breaks more than a killed job
SMALLEST = MIB  # mkswap itself wants ten pages
LARGEST = (1 << 32) * 4 * KIB  # mkswap's 2**32 pages
# include/linux/swap.h: 32 less what migration, hardware poison, devices and markers take in the largest configuration
_MOST_AREAS = 23
_ELSEWHERE = "oomguard swap --size SIZE --path FILE  # where FILE is on ext4, xfs or btrfs"


def check_machine(machine: SwapMachine) -> None:
    """Raises: SwapRefused where no swap can be switched on, wherever its file is."""
    if machine.container and not machine.root_may_swapon:
        raise SwapRefused(
            f"a container ({machine.container}) cannot add swap: swap belongs to the whole machine",
            do="oomguard swap --size SIZE  # on the host; then: docker run --memory-swap SIZE ...",
        )
    if machine.missing_tools:
        raise SwapRefused(
            f"{' and '.join(machine.missing_tools)} not found, in PATH or /usr/sbin",
            do="sudo apt-get install util-linux  # the package is called so on dnf, pacman and apk, too",
        )
    if len(machine.areas) >= _MOST_AREAS:
        raise SwapRefused(
            f"{len(machine.areas)} swap areas are on already, and a kernel allows {_MOST_AREAS} to 29",
            do="oomguard swap status  # then swap remove FILE for those that are not used",
        )


def check_size(size: int) -> None:
    """Raises: SwapRefused for a size that mkswap does not take."""
    if not SMALLEST <= size <= LARGEST:
        raise SwapRefused(
            f"{format_size(size)} is not a possible size for a swap area: {format_size(SMALLEST)} to 16.0 TiB",
            do="oomguard swap --size 8G",
        )


def check_file_system(place: PlaceFacts, machine: SwapMachine) -> SwapRecipe:
    """Give the recipe for the place.

    Raises: SwapRefused where its file system cannot hold swap.
    """
    recipe = swap_recipe(place.file_system, machine.kernel)
    if isinstance(recipe, NoRecipe):
        raise SwapRefused(f"{place.mount_point} is {place.file_system}: {recipe.because}", do=_instead(place))
    if place.read_only:
        raise SwapRefused(
            f"{place.mount_point} ({place.file_system}) is mounted read-only",
            do=f"sudo mount -o remount,rw {shlex.quote(place.mount_point)}",
        )
    if place.file_system == "btrfs":
        _check_btrfs(place)
    return recipe


def _instead(place: PlaceFacts) -> str:
    if place.file_system in ("zfs", "bcachefs"):
        return "sudo mkswap /dev/PARTITION && sudo swapon /dev/PARTITION  # an unused partition"
    return _ELSEWHERE


def _check_btrfs(place: PlaceFacts) -> None:
    if place.btrfs_devices > 1 or set(place.btrfs_profiles) - {"single"}:
        profiles = " and ".join(place.btrfs_profiles) or "unknown"
        raise SwapRefused(
            f"{place.mount_point} is btrfs on {place.btrfs_devices} disks with data profile {profiles}; "
            "the kernel supports swap files only on one disk with the profile single",
            do=_ELSEWHERE,
        )


def check_path(place: PlaceFacts) -> None:
    """Raises: SwapRefused for a path that exists, leads through a link, or that others could change."""
    path = shlex.quote(place.path)
    if place.symlink is not None:
        raise SwapRefused(
            f"{place.symlink} is a symbolic link, and swap is not made through one",
            do="--path PATH, the one that it points to",
        )
    if place.existing is not None:
        do = (
            f"--path with another name; or, if it is a swap file: oomguard swap remove {path}"
            if place.existing == "a file"
            else "--path with another name"
        )
        raise SwapRefused(f"{place.path} exists already: it is {place.existing}, and nothing is overwritten", do=do)
    if place.missing_folder is not None:
        raise SwapRefused(
            f"the folder {place.missing_folder} does not exist",
            do=f"mkdir -m 755 {shlex.quote(place.missing_folder)}",
        )
    if place.foreign_folder is not None:
        raise SwapRefused(
            f"{place.foreign_folder}, and whoever can change a folder can put another file in place of the swap",
            do="--path /var/oomguard.swap, or another folder that only root can change",
        )


def check_room(place: PlaceFacts, size: int) -> None:
    """Raises: SwapRefused where less than a tenth of the disk would stay free."""
    most = largest_size(place)
    if size <= most:
        return
    smaller = f"--size {most // MIB}M fits, or " if most >= 64 * MIB else ""
    raise SwapRefused(
        f"{format_size(size)} does not fit on {place.mount_point}: {format_size(place.free)} of "
        f"{format_size(place.total)} are free, and {format_size(place.total * KEEP_FREE)} (10 %) are kept free",
        do=f"{smaller}--path FILE on another disk, or make room: du -xh {shlex.quote(place.mount_point)} | sort -h",
    )


def largest_size(place: PlaceFacts) -> int:
    """The largest swap file that leaves a tenth of the disk free. Units: bytes."""
    return max(0, place.free - int(place.total * KEEP_FREE))
