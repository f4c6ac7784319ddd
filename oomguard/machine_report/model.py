"""What is known of a machine, and how it is judged. Sizes in bytes; None: the machine does not say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from oomguard.text import Drawn

if TYPE_CHECKING:
    from oomguard.formats.proc import Pressure, SwapArea
    from oomguard.kernel.model import LogSource
    from oomguard.swap.model import CompressedSwap


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """The machine's memory and swap."""

    total: int | None
    available: int | None
    areas: tuple[SwapArea, ...]
    zswap: bool | None  # None: not in this kernel
    compressed: tuple[CompressedSwap, ...]
    overcommit: int | None  # vm.overcommit_memory: 0, 1 or 2
    committed: int | None  # address space that was promised
    commit_limit: int | None
    pressure: Pressure | None
    oom_kills: int | None  # since boot
    tmpfs: tuple[TmpfsFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TmpfsFacts:
    """A folder whose files are memory."""

    mount_point: str
    size: int
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupLimit:
    """One memory cgroup, with what it limits."""

    name: str
    memory_max: int | None  # None: no limit
    memory_high: int | None
    swap_max: int | None
    unreclaimable: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupFacts:
    """Where this process is."""

    layout: Literal["v1", "v2", "hybrid", "none"]  # hybrid: v2 is there, and the memory controller on v1
    read_only: bool
    levels: tuple[CgroupLimit, ...]  # the own cgroup, then outwards
    hidden_max: int | None  # the lowest limit of all, also of cgroups that a container does not see (v1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BetterWay:
    """A better way to enforce a budget, which is not available here."""

    way: str
    why: str
    do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnforcementFacts:
    """How `oomguard run` would enforce a budget here."""

    way: str
    cannot: str  # "" if nothing is missing
    better: tuple[BetterWay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFacts:
    """Whether the stack of a Python job can be read when it meets its budget."""

    readers: tuple[str, ...]  # "pystack", "py-spy": those that are installed
    ptrace_scope: int | None  # kernel.yama.ptrace_scope; None: no Yama
    may_trace_all: bool  # CAP_SYS_PTRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class KillerFacts:
    """A program that ends others when memory is low."""

    name: str
    acts: str  # when, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFacts:
    """All of it."""

    memory: MemoryFacts
    cgroup: CgroupFacts
    enforcement: EnforcementFacts | None  # None: not tried
    stacks: StackFacts
    logs: tuple[LogSource, ...]
    killers: tuple[KillerFacts, ...]
    ulimits: dict[str, int | None]
    oom_score_adj: int | None
    container: str | None
    scheduler: str | None
    wsl: bool
    settings: dict[str, int] = field(default_factory=dict)  # of the kernel, by file


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line."""

    topic: str
    text: str
    fine: bool = True
    do: str | None = None  # the command that changes it


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport(Drawn):
    """All lines, and the facts they come from."""

    _screen: ClassVar[str] = "oomguard.machine_report.screens:render_report"

    findings: tuple[Finding, ...]
    facts: DoctorFacts

    @property
    def fine(self) -> bool:
        """Whether nothing could be better."""
        return all(finding.fine for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        return {
            "schema": "oomguard.doctor/1",
            "fine": self.fine,
            "findings": [asdict(finding) for finding in self.findings],
            "facts": _with_old_name(asdict(self.facts)),
        }


def _with_old_name(facts: dict[str, Any]) -> dict[str, Any]:
    """The polling backend was called "watchdog" in 0.1, and is so in JSON."""
    held = facts["enforcement"]
    return facts if held is None or held["way"] != "polling" else {**facts, "enforcement": {**held, "way": "watchdog"}}
