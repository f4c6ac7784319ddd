"""What was sampled of a job, what it held at its budget, and what became of it: the outcome of `run`, in JSON too."""

from __future__ import annotations

import re
from dataclasses import asdict, field, fields
from typing import Any, ClassVar, Literal

from oomguard.formats.proc import MemoryShare
from oomguard.kernel.model import OpenInput, ProcessFacts, ProcessStack, StackFrame
from oomguard.records import dataclass
from oomguard.supervision.rules.user_code import user_frame
from oomguard.text import Drawn, printable

LINES_KEPT = 20  # lines of a profile: those that held most
STOPPED_CODE = 137  # 128 + SIGKILL, as a shell shows a process that the kernel's OOM killer ended
StoppedBy = Literal["budget", "kernel", "signal"]

SCHEMA = "oomguard.run_outcome/1"
_SHOWN_ARGUMENTS = 4
_LONGEST_SHOWN = 60
_ADDRESS = re.compile(r"<.* at 0x[0-9a-f]+>?")  # says nothing to people


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """What one process held. Units: bytes; of pages that several share, the whole."""

    pid: int
    anon: int
    shmem: int
    file: int
    swap: int

    @property
    def growing(self) -> int:
        """What a line of code makes grow: all but the file pages."""
        return self.anon + self.shmem + self.swap


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySample:
    """The tree at one moment. Units: seconds since the beginning, bytes."""

    seconds: float
    unreclaimable: int  # each page once, where `exact`; else an upper bound
    exact: bool
    cache: int | None  # page cache charged to the job; None: only a cgroup knows
    processes: tuple[ProcessMemory, ...]
    most: int | None = None  # the kernel's own high-water mark since the sample before, page cache in it
    charged: int | None = None  # what it says now
    filled: int | None = None  # what page faults since the sample before can have filled at most
    swap: int = 0  # of `unreclaimable`: swapped out, which a mark does not count

    @property
    def summed_rss(self) -> int:
        """Resident memory summed over the processes: shared pages count once for each."""
        return sum(process.anon + process.shmem + process.file for process in self.processes)

    @property
    def largest_process(self) -> int:
        """Resident memory of the largest process; pid 0 is many, put together, none of them the largest."""
        return max((each.anon + each.shmem + each.file for each in self.processes if each.pid), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownLine:
    """A line of code, and what of the peak had grown while it ran. Units: bytes."""

    file: str
    line: int  # 0: not a line of Python; `file` is the program
    function: str
    source: str
    grew_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownCall:
    """A line of code on the way to what grew."""

    file: str
    line: int  # 0: not a line of Python; `file` is the program
    function: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownStack:
    """A stack, outermost call first, and what of the peak had grown in it. Units: bytes."""

    number: int  # the same stack, the same number
    grew_bytes: int
    calls: tuple[GrownCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every process stood still when this was read. Units: bytes, seconds."""

    seconds: float  # since the job began
    budget: int
    unreclaimable: int
    shmem: int  # of it, in tmpfs, /dev/shm and shared memory
    cache: int | None  # page cache beside it; None: only a cgroup knows
    processes: tuple[ProcessFacts, ...]  # the largest first
    # Of the largest process first, or of one about as large that does not wait; in each, the thread that works first.
    stacks: tuple[ProcessStack, ...]
    unread: dict[int, str]  # the Python processes whose stack could not be read, and why
    maps: dict[int, tuple[MemoryShare, ...]]  # of the largest that run no Python: what holds their memory
    inputs: tuple[OpenInput, ...]
    files_in_memory: tuple[tuple[str, int], ...]  # files of the job's in tmpfs, with their sizes
    look_seconds: float  # how long it took to read all this
    grown: tuple[GrownLine, ...] = ()  # since half of the budget, where that was seen; the largest first
    grown_since: int = 0  # what the job had grown by since then
    copied: int = 0  # pages that forked children wrote to, and so have a copy of their own of
    arenas: tuple[int, ...] = ()  # of the largest process's threads: what malloc has in each


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Drawn):
    """A held job was let go, or ended. Sizes in bytes."""

    _screen: ClassVar[str] = "oomguard.supervision.screens:render_released"

    pid: int
    stopped: bool
    budget: int | None  # the new one; None when it was ended

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"schema": "oomguard.release/1", **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome(Drawn):
    """A finished run. Sizes in bytes; what each number means is in docs/numbers.md."""

    _screen: ClassVar[str] = "oomguard.supervision.screens:render_outcome"

    command: tuple[str, ...]
    exit_code: int  # the command's own; 137 when it was stopped at the budget; 128+N when signal N ended it
    stopped_by: StoppedBy | None  # "budget" with held_seconds None: it ended by itself, refused memory at hard_limit
    enforced_by: str
    budget: int
    hard_limit: int | None
    peak_unreclaimable: int
    peak_with_cache: int | None
    peak_shmem: int
    largest_process: int | None  # None: it ended before anybody looked
    wall_seconds: float
    held_seconds: float | None = None  # when it was held, after its start
    held_unreclaimable: int | None = None
    look_seconds: float | None = None
    processes: tuple[ProcessFacts, ...] = ()
    stacks: tuple[ProcessStack, ...] = ()
    unread_stacks: dict[int, str] = field(default_factory=dict)
    memory_maps: dict[int, tuple[MemoryShare, ...]] = field(default_factory=dict)
    inputs: tuple[OpenInput, ...] = ()
    files_in_memory: tuple[tuple[str, int], ...] = ()
    oom_kills: int = 0
    victim: str | None = None
    left_behind: int = 0
    killed_later: int = 0  # of these, killed for memory when the supervisor had ended
    advice: tuple[str, ...] = ()
    grown: tuple[GrownLine, ...] = ()  # where it grew since half of the budget, the largest first
    grown_since: int = 0
    peak_at_most: int | None = None  # how much it can have been between two samples; None: not known
    notes: tuple[str, ...] = ()

    def lines(self) -> list[tuple[str, str]]:
        """The screen as labels and texts."""
        from importlib import import_module

        lines: list[tuple[str, str]] = import_module("oomguard.supervision.screens").outcome_lines(self)
        return lines

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        old_name = {"polling": "watchdog"}.get(self.enforced_by, self.enforced_by)
        return {"schema": SCHEMA, **asdict(self), "enforced_by": old_name}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> RunOutcome:
        """Rebuild the outcome from what to_json() gave. Keys of later versions are ignored."""
        known = {each.name for each in fields(cls)}
        given = {name: value for name, value in facts.items() if name in known}
        given["processes"] = tuple(
            ProcessFacts(**{**each, "command": tuple(each["command"])}) for each in facts["processes"]
        )
        given["stacks"] = tuple(
            ProcessStack(**{**each, "frames": tuple(StackFrame(**frame) for frame in each["frames"])})
            for each in facts["stacks"]
        )
        given["grown"] = tuple(GrownLine(**each) for each in facts.get("grown", ()))
        given["inputs"] = tuple(OpenInput(**each) for each in facts["inputs"])
        given["memory_maps"] = {
            int(pid): tuple(MemoryShare(**share) for share in shares) for pid, shares in facts["memory_maps"].items()
        }
        given["unread_stacks"] = {int(pid): why for pid, why in facts["unread_stacks"].items()}
        given["files_in_memory"] = tuple((path, size) for path, size in facts["files_in_memory"])
        given["enforced_by"] = {"watchdog": "polling"}.get(facts["enforced_by"], facts["enforced_by"])
        for name in ("command", "advice", "notes"):
            given[name] = tuple(facts[name])
        return cls(**given)

    def where(self) -> str:
        """The user's innermost frame of the first stack, in one line; "" if none was read."""
        frames = next((stack.frames for stack in self.stacks if stack.frames), ())
        return printable(called(user_frame(frames) or frames[0])) if frames else ""


def called(frame: StackFrame) -> str:
    """One call, in a line: where it is, its name, and its arguments."""
    told = [(name, value) for name, value in frame.arguments.items() if not _ADDRESS.match(value)]
    arguments = ", ".join(f"{name}={_short(value)}" for name, value in told[:_SHOWN_ARGUMENTS])
    more = f"{', ' if arguments else ''}..." if len(frame.arguments) > min(len(told), _SHOWN_ARGUMENTS) else ""
    called = frame.function if frame.function.startswith("<") else f"{frame.function}({arguments}{more})"
    return f"{frame.file}:{frame.line} in {called}"


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..."
