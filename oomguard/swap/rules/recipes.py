"""How a swap file is made on each file system, and where none can be.

Source: swapon(8); Linux mm/swapfile.c, fs/iomap/swapfile.c, fs/btrfs/inode.c (btrfs_swap_activate), fs/f2fs/data.c
(check_swap_activate); each recipe that docs/swap.md marks as tried was switched on and used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from oomguard.units import MIB


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


_IN_RAM = NoRecipe(because="its files are in memory already, so that swapping to them frees none")
_NETWORK = NoRecipe(because="over the network the kernel may need memory to free memory, and stop for good")
_NO_OWNER = NoRecipe(because="it keeps no file modes, so that any user could read the swapped memory")
_READ_ONLY = NoRecipe(because="nothing can be written to it")

_REFUSED = {
    "tmpfs": _IN_RAM,
    "ramfs": _IN_RAM,
    "devtmpfs": _IN_RAM,
    "hugetlbfs": _IN_RAM,
    "overlay": NoRecipe(because="the kernel supports no swap file on an overlay, such as a container's root"),
    "aufs": NoRecipe(because="the kernel supports no swap file on a stacked file system"),
    "ecryptfs": NoRecipe(because="the kernel supports no swap file on a stacked file system"),
    "zfs": NoRecipe(because="it has no swap files, and a zvol as swap may hang the machine when memory is short"),
    "bcachefs": NoRecipe(because="it has no swap files yet"),
    "nilfs2": NoRecipe(because="it moves its files' blocks, which the kernel does not allow for swap"),
    "nfs": _NETWORK, "nfs4": _NETWORK, "cifs": _NETWORK, "smb3": _NETWORK, "9p": _NETWORK, "ceph": _NETWORK,
    "afs": _NETWORK, "glusterfs": _NETWORK, "lustre": _NETWORK, "gpfs": _NETWORK, "beegfs": _NETWORK,
    "ocfs2": _NETWORK, "gfs2": _NETWORK, "virtiofs": _NETWORK,
    "vfat": _NO_OWNER, "msdos": _NO_OWNER, "exfat": _NO_OWNER, "ntfs": _NO_OWNER, "ntfs3": _NO_OWNER,
    "squashfs": _READ_ONLY, "erofs": _READ_ONLY, "iso9660": _READ_ONLY, "udf": _READ_ONLY, "cramfs": _READ_ONLY,
    "proc": _READ_ONLY, "sysfs": _READ_ONLY, "cgroup": _READ_ONLY, "cgroup2": _READ_ONLY,
}  # fmt: skip
_FUSE = NoRecipe(because="a program serves it, which may itself need the memory that swapping is to free")


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
