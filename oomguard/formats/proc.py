"""The files of /proc that tell of memory: a process's own, and the machine's. Source: proc(5)."""

from __future__ import annotations

import re
import signal
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from oomguard.formats.mounts import unescape_octal
from oomguard.records import dataclass
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterable

# The name may hold anything, ")" and line ends too; what follows it is numbers, and bounded for int()'s sake.
_STAT = re.compile(r"([0-9]{1,10}) \((.*)\) (\S)((?: -?[0-9]{1,20}){19,})\s*", re.DOTALL)
_IGNORED = 29  # field 33, the signals that it ignores


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcStat:
    """Who a process is. A pid with the same `start_ticks` is the same process."""

    pid: int
    name: str  # the kernel's comm: at most 15 bytes, and whatever the process chose
    state: str  # R S D T t Z X I
    parent_pid: int
    process_group: int
    session: int
    tty: int  # the controlling terminal's device number; 0: none
    start_ticks: int  # clock ticks after boot
    rss_pages: int = 0  # what is resident, as far as the kernel has counted it together
    faults: int = 0  # page faults, minor and major
    faults_of_children: int = 0  # of those that it has waited for, and theirs
    ignores_children: bool = False  # SIGCHLD: the kernel waits for them, and nobody gets their numbers


def parse_proc_stat(text: str) -> ProcStat | None:
    """Read /proc/PID/stat. None: this is not one, as for a process that ended meanwhile. Raises: nothing."""
    match = _STAT.fullmatch(text)
    if match is None:
        return None
    numbers = [int(number) for number in match[4].split()]
    return ProcStat(
        pid=int(match[1]),
        name=match[2],
        state=match[3],
        parent_pid=numbers[0],
        process_group=numbers[1],
        session=numbers[2],
        tty=numbers[3],
        start_ticks=numbers[18],
        rss_pages=numbers[20] if len(numbers) > _IGNORED else 0,
        faults=numbers[6] + numbers[8],
        faults_of_children=numbers[7] + numbers[9],
        ignores_children=len(numbers) > _IGNORED and bool(numbers[_IGNORED] >> signal.SIGCHLD - 1 & 1),
    )


# /proc/PID/smaps_rollup and status: shared pages divided among the sharers, and the cheaper counters.
#
# Source: Linux fs/proc/task_mmu.c, show_smaps_rollup() and task_mem(). Pss_Anon and Pss_Shmem exist since 5.3.

_SIZES = re.compile(r"^([A-Za-z0-9_()]+):\s+([0-9]{1,18}) kB$", re.MULTILINE)


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
    sizes = parse_sizes(text)
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
    sizes = parse_sizes(text)
    return StatusMemory(
        rss=sizes.get("VmRSS"),
        rss_anon=sizes.get("RssAnon"),
        rss_shmem=sizes.get("RssShmem"),
        swap=sizes.get("VmSwap"),
        rss_file=sizes.get("RssFile"),
        peak_rss=sizes.get("VmHWM"),
    )


def parse_sizes(text: str) -> dict[str, int]:
    """Every size in a file of /proc by its name there, such as "Zswapped". Units: bytes. Raises: nothing."""
    return {name: int(kib) * KIB for name, kib in _SIZES.findall(text)}


# What each mapping of a process holds. Source: Linux fs/proc/task_mmu.c, show_smap(); proc_pid_smaps(5).

_MAPPING = re.compile(r"[0-9a-f]{1,16}-[0-9a-f]{1,16} \S{4} [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ [0-9]+ *(.*)")
_HELD = re.compile(r"(Anonymous|Swap): +([0-9]{1,18}) kB")
_MOST_NAMES = 4096  # of up to 4 KiB: a process chooses them, and how many they are


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryShare:
    """What a kind of mapping holds of a process's unreclaimable memory. Units: bytes."""

    mapping: str  # "[heap]", "anonymous", "[stack]", a file, or "other mappings"
    size: int


def parse_smaps(lines: Iterable[str]) -> list[MemoryShare]:
    """Sum anonymous and swapped-out memory by mapping name, the largest first; line by line, as it may be long.

    Units: the kernel prints "kB" and means KiB; the result is bytes. A mapping without a name is "anonymous"; of a
    process with thousands of names, those that come late are "other mappings", together.
    Raises: nothing.
    """
    held: dict[str, int] = {}
    name = "anonymous"
    for line in lines:
        if (value := _HELD.match(line)) is not None:
            held[name] = held.get(name, 0) + int(value[2]) * KIB
        elif (mapping := _MAPPING.match(line)) is not None:
            name = mapping[1].rstrip("\n") or "anonymous"
            if len(held) >= _MOST_NAMES and name not in held:
                name = "other mappings"
    return sorted(
        (MemoryShare(mapping=name, size=size) for name, size in held.items() if size),
        key=lambda share: share.size,
        reverse=True,
    )


# The arenas that malloc makes for threads beside [heap]. Source: glibc malloc/arena.c, new_heap(): each begins at a
# multiple of HEAP_MAX_SIZE, and what is not used of it yet follows as a mapping that nobody may read.

_PLACE = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,16}) (\S{4}) [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ [0-9]+ *(.*)")
_ARENA = 64 << 20


def parse_arenas(lines: Iterable[str]) -> list[int]:
    """What each arena of a process's threads holds, from smaps, line by line. Units: bytes. Raises: nothing."""
    found: list[int] = []
    held, end = 0, None  # of the mapping before, if it begins as an arena does
    for line in lines:
        if (value := _HELD.match(line)) is not None:
            held += int(value[2]) * KIB
        elif (mapping := _PLACE.match(line)) is not None:
            begins, ends = int(mapping[1], 16), int(mapping[2], 16)
            if begins == end and mapping[3] == "---p" and ends % _ARENA == 0:
                found.append(held)
            is_anonymous = mapping[3] == "rw-p" and not mapping[4].strip()
            held, end = 0, ends if is_anonymous and begins % _ARENA == 0 else None
    return found


# A process's resource limits. Source: Linux fs/proc/base.c, proc_pid_limits(); getrlimit(2).

_LIMIT = re.compile(
    r"^(Max [a-z -]+?) {2,}(unlimited|[0-9]{1,20}) +(?:unlimited|[0-9]{1,20}) *([a-z]*) *$", re.MULTILINE
)


def parse_process_limits(text: str) -> dict[str, int | None]:
    """Read the soft limits of /proc/PID/limits by their names there ("Max address space"). None: no limit.

    Raises: nothing. A line that cannot be read is left out.
    """
    return {name: None if value == "unlimited" else int(value) for name, value, _ in _LIMIT.findall(text)}


# Which signals wait for a process, and what it does with them. Source: proc_pid_status(5), render_sigset_t().

# 64 signals, and 128 on MIPS: bounded, for int()'s sake.
_MASK = re.compile(r"^(ShdPnd|SigBlk|SigIgn|SigCgt):\s*([0-9a-f]{16,32})$", re.MULTILINE)


def only_ends_by(status: str, number: int) -> bool:
    """Whether signal `number` waits for the process of this /proc/PID/status, which would do nothing with it but end.

    False if it catches, ignores or blocks it, and for what is no such file. Raises: nothing.
    """
    masks = {name: bool(int(mask, 16) >> (number - 1) & 1) for name, mask in _MASK.findall(status)}
    return masks.get("ShdPnd", False) and not any(masks.get(name, True) for name in ("SigBlk", "SigIgn", "SigCgt"))


# The machine's memory, as /proc/meminfo tells it. Source: Linux fs/proc/meminfo.c, meminfo_proc_show().


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
    sizes = parse_sizes(text)
    return Meminfo(
        total=sizes.get("MemTotal"),
        free=sizes.get("MemFree"),
        available=sizes.get("MemAvailable"),
        cached=sizes.get("Cached"),
        shmem=sizes.get("Shmem"),
        swap_total=sizes.get("SwapTotal"),
        swap_free=sizes.get("SwapFree"),
    )


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
