"""Where no swap file is made, each refusal with its reason, both numbers and what works instead."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from oomguard.errors import SwapRefused
from oomguard.formats.proc import find_area
from oomguard.units import KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.formats.proc import SwapArea
    from oomguard.swap.model import PlaceFacts, SwapMachine


# How a swap file is made on each file system, and where none can be.
#
# Source: swapon(8); Linux mm/swapfile.c, fs/iomap/swapfile.c, fs/btrfs/inode.c (btrfs_swap_activate), fs/f2fs/data.c
# (check_swap_activate); each recipe that docs/swap.md marks as tried was switched on and used.


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRecipe:
    """What a file needs so that the kernel takes it as swap."""

    fill: Literal["fallocate", "zeros"]
    no_copy_on_write: bool = False
    pinned: bool = False
    granule: int = MIB  # the size is a multiple of it


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRecipe:
    """Why no swap file can be there."""

    because: str


_IN_RAM = NoRecipe(because="its files are in memory already, so swapping to them frees none")
_NETWORK = NoRecipe(because="over the network the kernel may need memory to free memory, and stop for good")
_NO_OWNER = NoRecipe(because="it keeps no file modes, so any user could read the swapped memory")
_READ_ONLY = NoRecipe(because="nothing can be written to it")

_REFUSED = {
    "tmpfs": _IN_RAM,
    "ramfs": _IN_RAM,
    "devtmpfs": _IN_RAM,
    "hugetlbfs": _IN_RAM,
    "overlay": NoRecipe(because="the kernel supports no swap file on an overlay, such as a container's root"),
    "aufs": NoRecipe(because="the kernel supports no swap file on a stacked file system"),
    "ecryptfs": NoRecipe(because="the kernel supports no swap file on a stacked file system"),
    "zfs": NoRecipe(because="it supports no swap files, and a zvol as swap may hang the machine when memory is short"),
    "bcachefs": NoRecipe(because="it supports no swap files yet"),
    "nilfs2": NoRecipe(because="it moves its files' blocks, which the kernel does not allow for swap"),
    "nfs": _NETWORK, "nfs4": _NETWORK, "cifs": _NETWORK, "smb3": _NETWORK, "9p": _NETWORK, "ceph": _NETWORK,
    "afs": _NETWORK, "glusterfs": _NETWORK, "lustre": _NETWORK, "gpfs": _NETWORK, "beegfs": _NETWORK,
    "ocfs2": _NETWORK, "gfs2": _NETWORK, "virtiofs": _NETWORK,
    "vfat": _NO_OWNER, "msdos": _NO_OWNER, "exfat": _NO_OWNER, "ntfs": _NO_OWNER, "ntfs3": _NO_OWNER,
    "squashfs": _READ_ONLY, "erofs": _READ_ONLY, "iso9660": _READ_ONLY, "udf": _READ_ONLY, "cramfs": _READ_ONLY,
    "proc": _READ_ONLY, "sysfs": _READ_ONLY, "cgroup": _READ_ONLY, "cgroup2": _READ_ONLY,
}  # fmt: skip
_FUSE = NoRecipe(because="a program serves it, which may itself need the memory that swapping is meant to free")


_FALLOCATE = SwapRecipe(fill="fallocate")
_ZEROS = SwapRecipe(fill="zeros")  # what every file system with plain blocks takes; the kernel has the last word
_KNOWN = {  # each with the Linux since when it holds
    "ext4": (_FALLOCATE, (2, 6)),
    "ext3": (_ZEROS, (2, 6)),
    "ext2": (_ZEROS, (2, 6)),
    "xfs": (_FALLOCATE, (4, 18)),  # extents that were allocated and never written; before, it wants zeros
    "btrfs": (SwapRecipe(fill="fallocate", no_copy_on_write=True), (5, 0)),
    # Whole sections, pinned: else swapon moves every block, which takes as long as writing it.
    "f2fs": (SwapRecipe(fill="fallocate", pinned=True, granule=2 * MIB), (5, 2)),
}


def swap_recipe(file_system: str, kernel: tuple[int, int]) -> SwapRecipe | NoRecipe:
    """Give the recipe for a swap file on `file_system` under Linux `kernel` (major, minor)."""
    if file_system.startswith("fuse"):
        return _FUSE
    if file_system in _REFUSED:
        return _REFUSED[file_system]
    recipe, since = _KNOWN.get(file_system, (_ZEROS, (0, 0)))
    if kernel >= since:
        return recipe
    return NoRecipe(because="btrfs supports swap files since Linux 5.0") if file_system == "btrfs" else _ZEROS


def is_suitable(file_system: str, kernel: tuple[int, int]) -> bool:
    """Whether swap files are known to work on a file system, so that it may be picked unasked."""
    return file_system in _KNOWN and isinstance(swap_recipe(file_system, kernel), SwapRecipe)


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
            do="sudo apt-get install util-linux  # the package has the same name for dnf, pacman and apk",
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
        f"{format_size(place.total)} is free, and {format_size(place.total * KEEP_FREE)} (10%) is kept free",
        do=f"{smaller}--path FILE on another disk, or make room: du -xh {shlex.quote(place.mount_point)} | sort -h",
    )


def largest_size(place: PlaceFacts) -> int:
    """The largest swap file that leaves a tenth of the disk free. Units: bytes."""
    return max(0, place.free - int(place.total * KEEP_FREE))


# Whether an area can be switched off: what is swapped out to it has to go somewhere.

# Of what the kernel calls available: it is an estimate, and when none is left the kernel kills a process.
_OF_AVAILABLE = 0.9


def check_memory(path: str, areas: Sequence[SwapArea], available: int) -> None:
    """See that memory, and the other areas, can take back what is swapped out to `path`. `available` is in bytes.

    Raises: SwapRefused if not, with both numbers.
    """
    area = find_area(list(areas), path)
    if area is None:
        return
    elsewhere = sum(other.size - other.used for other in areas if other is not area)
    room = int(available * _OF_AVAILABLE) + elsewhere
    if area.used > room:
        raise SwapRefused(
            f"{format_size(area.used)} is swapped out to {path}, and memory and other swap have room for "
            f"{format_size(room)}; switching it off would make the kernel kill a process",
            do="oomguard swap status  # shows whose memory it is: end that process, then try again",
        )
