"""The machine's memory: /proc/meminfo, /proc/swaps, /proc/pressure/memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from oomguard.formats.mounts import unescape_octal
from oomguard.units import KIB

# The machine's memory, as /proc/meminfo tells it. Source: Linux fs/proc/meminfo.c, meminfo_proc_show().

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


# The swap areas that are on, as /proc/swaps tells it. Source: Linux mm/swapfile.c, swap_show().

# The path is padded with spaces up to column 40; spaces in it are written \040.
_AREA = re.compile(r"(/\S*)\s+(file|partition)\s+([0-9]{1,18})\s+([0-9]{1,18})\s+(-?[0-9]{1,10})\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapArea:
    """One swap area that is on."""

    path: str
    kind: str  # "file" or "partition", which is any block device
    size: int  # bytes that can hold pages: the file less its first page, the header
    used: int  # bytes
    priority: int  # higher is filled first; the kernel gives negative ones

    @property
    def is_zram(self) -> bool:
        """Whether it is compressed memory, not a disk."""
        return self.path.startswith("/dev/zram")


def parse_swaps(text: str) -> list[SwapArea]:
    """Read /proc/swaps.

    Units: the kernel prints KiB; the result is bytes.
    Raises: nothing. A line that is no area, as the heading, is left out.
    """
    return [
        SwapArea(
            path=unescape_octal(found[1]),
            kind=found[2],
            size=int(found[3]) * KIB,
            used=int(found[4]) * KIB,
            priority=int(found[5]),
        )
        for line in text.split("\n")
        if (found := _AREA.fullmatch(line))
    ]


def find_area(areas: list[SwapArea], path: str) -> SwapArea | None:
    """Give the area of this path, None if none is on there."""
    wanted = PurePosixPath(path)
    return next((area for area in areas if PurePosixPath(area.path) == wanted), None)


# How long tasks waited for memory (PSI). Source: Linux Documentation/accounting/psi.rst; /proc/pressure/memory.

_PRESSURE = re.compile(r"^(some|full) avg10=([0-9]{1,3}\.[0-9]{2}) avg60=([0-9]{1,3}\.[0-9]{2}) ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The share of time, from 0 to 1, in which tasks waited for memory."""

    some_10s: float  # at least one task waited; average of the last 10 seconds
    some_60s: float
    full_10s: float  # all tasks that were not idle waited
    full_60s: float


def parse_pressure(text: str) -> Pressure | None:
    """Read /proc/pressure/memory or a cgroup's memory.pressure. None: this kernel does not measure it."""
    averages = {kind: (float(ten) / 100, float(sixty) / 100) for kind, ten, sixty in _PRESSURE.findall(text)}
    if averages.keys() != {"some", "full"}:
        return None
    (some_10s, some_60s), (full_10s, full_60s) = averages["some"], averages["full"]
    return Pressure(some_10s=some_10s, some_60s=some_60s, full_10s=full_10s, full_60s=full_60s)
