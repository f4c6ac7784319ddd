"""What is known of the machine and of a place on a disk before swap is made there. Sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from oomguard.formats.swaps import SwapArea

DiskKind = Literal["nvme", "ssd", "hdd", "card", "virtual", "loop", "memory", "network", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """The block device under a file system."""

    name: str  # "nvme0n1"; "" where no single device is behind it
    kind: DiskKind
    bytes_per_second: float  # reading, as measured; else what such disks usually do
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFacts:
    """A path where a swap file may go."""

    path: str  # absolute, without "." and ".."
    mount_point: str
    file_system: str  # as mounted: "ext4", "fuse.sshfs"
    read_only: bool
    free: int  # for new files, what is reserved for others left out
    total: int
    disk: DiskFacts
    existing: str | None  # what is at the path already: "a file", "a folder" ...; None: nothing
    symlink: str | None  # the first part of the path that is a symbolic link
    missing_folder: str | None  # the first folder of the path that does not exist
    foreign_folder: str | None  # a folder on the way that others may change, in words: "/home/a belongs to uid 1000"
    new_subvolume: str | None = None  # btrfs: the folder to make, as a subvolume of its own, for the file
    btrfs_devices: int = 1
    btrfs_profiles: tuple[str, ...] = ()  # of its data: "single", "raid1" ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapMachine:
    """What of the machine decides whether swap can be made, and whether it helps."""

    kernel: tuple[int, int]
    ram: int | None
    available: int  # for a new job: what the machine has left, or a memory cgroup above it, if that is less
    limited_by: str  # whose that is, in words
    areas: tuple[SwapArea, ...]
    zswap: bool | None  # None: not in this kernel
    swap_max: int | None  # the least that a memory cgroup above this process lets it swap; None: no limit
    swap_max_of: str  # whose that is: "cgroup /x"
    container: str | None  # "docker" ...
    root_may_swapon: bool  # root has CAP_SYS_ADMIN here, and in the machine's own user namespace
    missing_tools: tuple[str, ...]
    fstab_targets: frozenset[str] = frozenset({"/"})  # where fstab mounts something
