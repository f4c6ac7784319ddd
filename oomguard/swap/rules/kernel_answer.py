"""Why swapon was refused: it says "Invalid argument", and the kernel's log says what is invalid.

Source: Linux fs/btrfs/inode.c, btrfs_swap_activate(); fs/iomap/swapfile.c; mm/swapfile.c, SYSCALL swapon.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class SwaponRefusal:
    """A refusal in words."""

    because: str
    do: str
    needs_zeros: bool = False  # the same file is taken when its blocks are really written


_ANOTHER_FILE = "oomguard swap --size SIZE  # makes the file as it has to be"
_MESSAGES: tuple[tuple[str, SwaponRefusal], ...] = (
    (
        r"has holes|not have holes|to have holes",
        SwaponRefusal(because="the file has holes: blocks without disk under them", do=_ANOTHER_FILE, needs_zeros=True),
    ),
    (
        r"unallocated|unwritten|not allocated",
        SwaponRefusal(because="the file has blocks that were never written", do=_ANOTHER_FILE, needs_zeros=True),
    ),
    (
        r"copy-on-write",
        SwaponRefusal(because="btrfs would write each page to a new place (copy on write)", do=_ANOTHER_FILE),
    ),
    (r"must not be compressed", SwaponRefusal(because="btrfs compressed the file", do=_ANOTHER_FILE)),
    (r"must not be inline", SwaponRefusal(because="btrfs keeps so small a file with its metadata", do=_ANOTHER_FILE)),
    (
        r"one device|single data profile|multiple devices",
        SwaponRefusal(
            because="the file lies on more than one disk of the btrfs, or more than once",
            do="--path FILE on a file system of one disk",
        ),
    ),
    (
        r"exclusive operation|snapshot creation|subvolume deletion",
        SwaponRefusal(
            because="a balance, resize or snapshot of this btrfs is running",
            do="wait for it, then try again",
        ),
    ),
    (r"shared extents|reflink", SwaponRefusal(because="the file shares blocks with a copy of it", do=_ANOTHER_FILE)),
    (
        r"different block device|realtime",
        SwaponRefusal(because="the file is on another device than its file system", do="--path FILE on another disk"),
    ),
    (
        r"Unable to find swap-space signature|read swap header failed",
        SwaponRefusal(because="the file is not formatted as swap", do="mkswap FILE"),
    ),
    (
        r"[Dd]evice or resource busy",
        SwaponRefusal(because="the file is in use as swap already", do="oomguard swap status"),
    ),
    (
        r"not permitted|[Pp]ermission denied",
        SwaponRefusal(
            because="the kernel does not permit it: a container's rules forbid it, or too many areas are on",
            do="oomguard swap status  # in a container: run it on the host",
        ),
    ),
)


def explain_swapon(said: str, kernel_log: Sequence[str]) -> SwaponRefusal:
    """Explain a refused swapon by what it said and what the kernel logged meanwhile. Raises: nothing."""
    lines = [line for line in kernel_log if re.search(r"swap|BTRFS", line, re.IGNORECASE)]
    for text in (*reversed(lines), said):
        for pattern, refusal in _MESSAGES:
            if re.search(pattern, text):
                return refusal
    last = lines[-1] if lines else said.strip().splitlines()[-1] if said.strip() else "it does not say why"
    return SwaponRefusal(because=last[:200], do="sudo dmesg | tail  # what the kernel says; or --path on another disk")
