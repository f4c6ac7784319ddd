"""What is known of a disk. Source of the kinds: the names and attributes of devices in /sys/block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DiskKind = Literal["nvme", "ssd", "hdd", "card", "virtual", "loop", "memory", "network", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """The block device under a file system."""

    name: str  # "nvme0n1"; "" where no single device is behind it
    kind: DiskKind
    bytes_per_second: float  # reading, as measured; else what such disks usually do
    measured: bool
