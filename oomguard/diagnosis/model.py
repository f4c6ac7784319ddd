"""What was found: the kills, why, where the memory was, what to do, where it was looked for; sentences: screens/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import Notice, OomEvent, OtherKill, UnitNotice
    from oomguard.kernel.model import LogSource


Cause = Literal[
    "manual", "memcg", "cpuset", "mempolicy", "fragmentation", "low_zone", "false_alarm", "exhaustion", "unknown"
]
# What held the memory that ran out.
Filler = Literal[
    "anon", "shmem", "dirty", "cache", "kernel", "sock", "slab", "pagetables", "stacks", "hugetlb", "unaccounted"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of the memory. `within`: it is inside that part, shown below it and not added."""

    key: str
    label: str
    size: int  # bytes
    within: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """Where every byte was. Of the machine: `total` is what the kernel manages. Of a cgroup: its usage."""

    total: int
    shares: tuple[Share, ...]  # largest first, each followed by those within it
    unaccounted: int  # total - shares; more than what the kernel lists can be below 0
    free: int
    complete: bool = True  # False: counters that hold most of any machine's memory were not found in the report
    notes: tuple[str, ...] = ()

    def size_of(self, key: str) -> int:
        """The size of a part; 0 if it is not there."""
        return next((share.size for share in self.shares if share.key == key), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillCause:
    """The decision about one event. `why` and `room` are sentences for people."""

    kind: Cause
    why: str
    room: str
    filler: Filler | None
    accounting: Accounting | None
    limit: int | None = None  # of the cgroup, in bytes; None: none, or not told
    limit_owner: str | None = None  # the cgroup whose limit it was, in words
    ancestor: bool = False  # the limit was not the victim's own cgroup's
    certain: bool = True  # False: the report is too damaged to exclude others
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing to do. `command` is a line to paste, with capital words to be replaced."""

    text: str
    command: str | None = None


Verdict = Literal["proved", "likely", "possible", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedEvent:
    """One run of the kernel's OOM killer and why it happened."""

    event: OomEvent
    cause: KillCause


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterFinding:
    """What the kernel's counters tell where its log tells nothing. `oom_kills`: since when is `since`."""

    verdict: Verdict
    text: str
    limit_text: str
    oom_kills: int
    since: str
    memcg: str | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The newest kill that fits what was asked for, and all others that were found, newest first."""

    verdict: Verdict
    killer: str | None
    events: tuple[ExplainedEvent, ...]
    main: ExplainedEvent | None  # of them, the one that the screen tells of
    others: tuple[OtherKill, ...]  # by programs, or told by them alone
    units: tuple[UnitNotice, ...]
    counters: CounterFinding | None
    advice: tuple[Advice, ...]
    sources: tuple[LogSource, ...]
    found: int  # how many kills there were, kept or not
    asked: str | None = None  # what --pid, --name, --since narrowed it to
    not_asked: int = 0  # kills that did not fit that
    newest_is_other: bool = False  # the newest kill is a program's
    also_told: tuple[OtherKill, ...] = ()  # the same kills as of `events`, in a program's words
    notices: tuple[Notice, ...] = ()  # a SIGKILL without a reason, other memory than the host's; newest first
    kernel_count: int | None = None  # processes that the kernel has killed since boot, by its counter
    verbose: bool = False  # how render() shows it
    every: bool = False

    @property
    def cause(self) -> str | None:
        """The cause of the newest kernel kill; None: the kernel killed nothing."""
        return self.main.cause.kind if self.main and not self.newest_is_other else None
