"""What a kernel log tells about kills for lack of memory, in the kernel's own terms.

Units: sizes are bytes. None: the log does not say (never 0).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Constraint = Literal["global", "memcg", "cpuset", "mempolicy"]
Outcome = Literal["killed", "panic", "no_victim", "unknown"]

# A limit from here on is the kernel's way to write "none": LONG_MAX in pages, whatever their size, and what
# 3.x kernels made of ULONG_MAX. No machine has an exbibyte.
NO_LIMIT = 1 << 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTime:
    """When a line was written, as far as its prefix tells."""

    text: str  # as the log has it
    epoch: float | None = None  # seconds since 1970, if the prefix names day, time and zone
    monotonic: float | None = None  # seconds since the machine was booted


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """One process that was killed."""

    pid: int
    name: str  # comm: at most 15 bytes, chosen by the process
    uid: int | None = None
    total_vm: int | None = None
    anon_rss: int | None = None
    file_rss: int | None = None
    shmem_rss: int | None = None
    pgtables: int | None = None
    swap: int | None = None
    oom_score_adj: int | None = None
    reaped_only: bool = False  # only the oom_reaper's line tells of it, with what was left by then

    @property
    def rss(self) -> int | None:
        """Resident memory: anonymous, file and shared pages."""
        parts = [part for part in (self.anon_rss, self.file_rss, self.shmem_rss) if part is not None]
        return sum(parts) if parts and not self.reaped_only else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One zone of one memory node. `reserve` is lowmem_reserve[], in pages."""

    name: str
    node: int | None
    free: int | None = None
    min: int | None = None
    low: int | None = None
    high: int | None = None
    present: int | None = None
    managed: int | None = None
    free_cma: int | None = None
    kernel_stack: int | None = None
    pagetables: int | None = None
    reserve: tuple[int, ...] = ()
    free_blocks: tuple[tuple[int, int, str], ...] = ()  # size in bytes, count, migrate types ("UME")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemInfo:
    """The Mem-Info block: the whole machine when the kernel gave up. `pages` are the counters, in pages."""

    pages: Mapping[str, int]
    zones: tuple[Zone, ...]
    kernel_stack: int | None
    hugetlb: int | None
    hugetlb_free: int | None
    ram_pages: int | None
    reserved_pages: int | None
    swap_total: int | None
    swap_free: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemcgReport:
    """What the kernel printed about the cgroup whose limit was reached. `stat` is its memory.stat, in bytes."""

    usage: int | None = None
    limit: int | None = None
    swap_usage: int | None = None
    swap_limit: int | None = None
    memsw_usage: int | None = None
    memsw_limit: int | None = None
    kmem_usage: int | None = None
    kmem_limit: int | None = None
    stat: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One row of the table of processes."""

    pid: int
    name: str
    uid: int
    total_vm: int
    rss: int
    shmem_rss: int | None
    swap: int | None
    pgtables: int | None
    oom_score_adj: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGroup:
    """All processes of one name. `rss` counts a page once for each process that shares it: an upper bound."""

    name: str
    count: int
    rss: int
    swap: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTable:
    """The table of processes, summed. Only the largest rows are kept."""

    rows: int
    rss: int
    swap: int | None
    largest: tuple[TaskRow, ...]
    groups: tuple[TaskGroup, ...]
    guessed_columns: bool = False  # the header was lost
    killable: int | None = None  # rows whose oom_score_adj is not -1000; None: the table does not tell
    scores: tuple[int, ...] = ()  # the least and the greatest oom_score_adj of those


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapNotes:
    """What the kernel said when swap was added."""

    devices: tuple[str, ...] = ()  # /dev/zram0, /dev/nvme0n1p2, /swapfile
    zswap: bool = False  # loaded: it keeps swapped pages compressed in memory
    zram: bool = False  # a device was made

    @property
    def in_memory(self) -> bool:
        """Whether a device of it is memory itself."""
        return self.zram or any("zram" in device for device in self.devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class OomEvent:
    """One run of the kernel's OOM killer, with everything that the log tells about it."""

    time: LogTime | None
    constraint: Constraint | None
    constraint_text: str | None  # CONSTRAINT_NONE and so on, which some kernels print wrong
    manual: bool  # asked for with SysRq-f
    trigger_name: str | None  # whose request for memory started it: often a bystander
    trigger_pid: int | None
    gfp_mask: int | None
    gfp_flags: str | None
    order: int | None
    nodemask: str | None
    mems_allowed: str | None
    victims: tuple[Victim, ...]
    chosen: Victim | None  # named by the oom-kill: or "Kill process" line where no line says that it was killed
    half_chosen: str | None  # named by an oom-kill: line that breaks off before its number is whole
    oom_memcg: str | None
    task_memcg: str | None
    memcg: MemcgReport | None
    mem_info: MemInfo | None
    page_size: int | None
    page_size_from: str | None
    tasks: TaskTable | None
    outcome: Outcome
    oom_group: bool
    trace: tuple[str, ...]
    kernel: str | None
    hardware: str | None
    tainted: str | None
    top_allocations: tuple[tuple[str, int], ...]  # kernel call sites or slab caches, bytes
    notes: tuple[str, ...]  # damage to the log that this report suffered
    missing: tuple[str, ...]
    evidence: Mapping[str, str]  # what was read from which line
    quoted: bool = False  # only another program's line tells of it
    panicked: bool = False  # the kernel then stopped the machine
    allocating_task: bool = False  # vm.oom_kill_allocating_task: who asked is killed, whatever it holds
    swap: SwapNotes | None = None  # what the log said of swap before, since boot
    slab_refused: bool = False  # the slab allocator was refused memory just before
    slab_memcg: str | None = None  # the last part of the cgroup in whose limit that was


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherKill:
    """A process or cgroup that a program ended for lack of memory, or of whose end by the kernel a program tells."""

    killer: str  # who killed: "kernel" where the program only tells of it
    told_by: str  # whose words they are: an entry of the table of killers
    time: LogTime | None
    pid: int | None
    name: str | None
    cgroup: str | None
    processes: int | None
    rss: int | None
    reason: str | None
    line: str
    facts: Mapping[str, str] = field(default_factory=dict)  # container, pod, job, limit ..., as the text has them


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A SIGKILL whose sender and reason the text does not name, or memory that ran out elsewhere than on the host."""

    says: Literal["sigkill", "elsewhere"]
    told_by: str
    time: LogTime | None
    pid: int | None
    name: str | None
    reason: str | None
    line: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNotice:
    """systemd's word that a process of a unit was killed for memory, or that the unit failed by it."""

    unit: str
    time: LogTime | None
    line: str
    failed: bool


LogFinding = OomEvent | OtherKill | UnitNotice | Notice
