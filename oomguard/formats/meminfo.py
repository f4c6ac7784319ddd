"""The machine's memory, as /proc/meminfo tells it. Source: Linux fs/proc/meminfo.c, meminfo_proc_show()."""

from __future__ import annotations

import re
from dataclasses import dataclass

from oomguard.units import KIB

_LINE = re.compile(r"^([A-Za-z0-9_()]+):\s+([0-9]{1,18}) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meminfo:
    """A machine's memory. Units: bytes. None: the kernel did not say."""

    total: int | None
    free: int | None
    available: int | None  # what new programs can have without swapping, by the kernel's own estimate
    cached: int | None  # page cache, shmem in it
    shmem: int | None
    swap_total: int | None
    swap_free: int | None


def parse_meminfo(text: str) -> Meminfo:
    """Read /proc/meminfo.

    Units: the kernel prints "kB" and means KiB; the result is bytes.
    Raises: nothing. A line that is missing or unreadable gives None.
    """
    sizes = parse_meminfo_sizes(text)
    return Meminfo(
        total=sizes.get("MemTotal"),
        free=sizes.get("MemFree"),
        available=sizes.get("MemAvailable"),
        cached=sizes.get("Cached"),
        shmem=sizes.get("Shmem"),
        swap_total=sizes.get("SwapTotal"),
        swap_free=sizes.get("SwapFree"),
    )


def parse_meminfo_sizes(text: str) -> dict[str, int]:
    """Every size in /proc/meminfo by its name there, such as "Zswapped". Units: bytes. Raises: nothing."""
    return {name: int(kib) * KIB for name, kib in _LINE.findall(text)}
