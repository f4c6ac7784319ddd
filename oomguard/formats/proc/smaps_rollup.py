"""One process's memory, shared pages divided among the sharers, and the cheaper counters of /proc/PID/status.

Source: Linux fs/proc/task_mmu.c, show_smaps_rollup() and task_mem(). Pss_Anon and Pss_Shmem exist since 5.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from oomguard.units import KIB

_LINE = re.compile(r"^([A-Za-z_]+):\s+([0-9]{1,18}) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmapsRollup:
    """The sums over one process's mappings. Units: bytes. None: the kernel did not say."""

    rss: int | None
    pss: int | None
    pss_anon: int | None
    pss_shmem: int | None
    swap_pss: int | None
    anonymous: int | None = None  # like `rss`: each page counts whole

    @property
    def unreclaimable(self) -> int | None:
        """The process's share of memory that only ending it gives back: Pss_Anon + Pss_Shmem + SwapPss."""
        if self.pss_anon is None:
            return None
        return self.pss_anon + (self.pss_shmem or 0) + (self.swap_pss or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMemory:
    """The memory lines of /proc/PID/status. Units: bytes. None: the kernel did not say, as for a zombie."""

    rss: int | None
    rss_anon: int | None
    rss_shmem: int | None
    swap: int | None
    rss_file: int | None = None
    peak_rss: int | None = None  # the most that `rss` ever was; after a fork without exec, the parent's too

    @property
    def unreclaimable_bound(self) -> int | None:
        """RssAnon + RssShmem + VmSwap: never less than the process's share, as shared pages count whole."""
        if self.rss_anon is None:
            return self.rss
        return self.rss_anon + (self.rss_shmem or 0) + (self.swap or 0)


def parse_smaps_rollup(text: str) -> SmapsRollup:
    """Read /proc/PID/smaps_rollup.

    Units: the kernel prints "kB" and means KiB; the result is bytes.
    Raises: nothing. A line that is missing or unreadable gives None.
    """
    sizes = _parse_sizes(text)
    return SmapsRollup(
        rss=sizes.get("Rss"),
        pss=sizes.get("Pss"),
        pss_anon=sizes.get("Pss_Anon"),
        pss_shmem=sizes.get("Pss_Shmem"),
        swap_pss=sizes.get("SwapPss"),
        anonymous=sizes.get("Anonymous"),
    )


def parse_status_memory(text: str) -> StatusMemory:
    """Read the memory lines of /proc/PID/status. Units and Raises as in parse_smaps_rollup."""
    sizes = _parse_sizes(text)
    return StatusMemory(
        rss=sizes.get("VmRSS"),
        rss_anon=sizes.get("RssAnon"),
        rss_shmem=sizes.get("RssShmem"),
        swap=sizes.get("VmSwap"),
        rss_file=sizes.get("RssFile"),
        peak_rss=sizes.get("VmHWM"),
    )


def _parse_sizes(text: str) -> dict[str, int]:
    return {name: int(kib) * KIB for name, kib in _LINE.findall(text)}
