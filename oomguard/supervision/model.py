"""What became of a command under a budget."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from oomguard.formats.proc.smaps import MemoryShare
from oomguard.kernel.proc.model import OpenInput, ProcessFacts, ProcessStack, StackFrame
from oomguard.text import printable, signal_name
from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

StoppedBy = Literal["budget", "kernel", "signal"]

SCHEMA = "oomguard.run_outcome/1"
_SHOWN_PROCESSES = 5
_SHOWN_STACKS = 3
_SHOWN_FRAMES = 6
_SHOWN_INPUTS = 3
_SHOWN_ARGUMENTS = 4
_LONGEST_SHOWN = 60
_LONGEST_COMMAND = 120
_LARGEST_FOLIO = 2 << 20  # bytes: what is charged at once, and so may be missing to a limit that was met


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A finished run. Sizes in bytes; what each number means is in docs/numbers.md."""

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
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def render(self) -> RenderableType:
        """Build the screen for people: what was decided, and for a job that was stopped, why."""
        from rich.table import Table
        from rich.text import Text

        screen = Table.grid(padding=(0, 2))
        screen.add_column(no_wrap=True)
        screen.add_column(overflow="fold")
        for label, value in self.lines():
            screen.add_row(label, Text(printable(value)))
        return screen

    def lines(self) -> list[tuple[str, str]]:
        """The screen as labels and texts."""
        if self.stopped_by is None or self.stopped_by == "signal":
            return [("memory", self._peaks()), *self._verdict_lines()]
        return [
            *self._verdict_lines(),
            ("memory", self._peaks()),
            *process_lines(self.processes, self.memory_maps),
            *stack_lines(self.stacks, self.unread_stacks),
            *input_lines(self.inputs),
            *(("files", f"{path}  {format_size(size)}, in memory") for path, size in self.files_in_memory[:2]),
            *(("try", line) for line in self.advice),
        ]

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        old_name = {"polling": "watchdog"}.get(self.enforced_by, self.enforced_by)
        return {"schema": SCHEMA, **asdict(self), "enforced_by": old_name}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> RunOutcome:
        """The outcome again, from what to_json() gave. Keys of later versions are left out."""
        known = {each.name for each in fields(cls)}
        given = {name: value for name, value in facts.items() if name in known}
        given["processes"] = tuple(
            ProcessFacts(**{**each, "command": tuple(each["command"])}) for each in facts["processes"]
        )
        given["stacks"] = tuple(
            ProcessStack(**{**each, "frames": tuple(StackFrame(**frame) for frame in each["frames"])})
            for each in facts["stacks"]
        )
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
        """The innermost frame of the first stack, in one line; "" if none was read."""
        frames = next((stack.frames for stack in self.stacks if stack.frames), ())
        return printable(_called(frames[0])) if frames else ""

    def _verdict_lines(self) -> list[tuple[str, str]]:
        if self.stopped_by == "budget" and self.held_seconds is None:
            return [
                (
                    "refused",
                    (
                        f"{shlex.join(self.command)[:200]}: it held {format_size(self.peak_unreclaimable)}, and "
                        f"{format_size(self.budget)} were allowed ({self.enforced_by})"
                    ),
                ),
                (
                    "how",
                    (
                        f"the kernel gave it no more at {format_size(self.hard_limit or self.budget)}, before the "
                        f"supervisor had looked; it ended by itself, with status {self.exit_code}"
                    ),
                ),
            ]
        if self.stopped_by == "budget":
            held = format_size(self.held_unreclaimable or self.peak_unreclaimable)
            return [
                (
                    "stopped",
                    (
                        f"{shlex.join(self.command)[:200]}: it held {held}, and {format_size(self.budget)} were "
                        f"allowed ({self.enforced_by})"
                    ),
                ),
                ("when", f"{self.held_seconds or 0:.1f} s after it began"),
            ]
        if self.stopped_by == "kernel":
            who = self.victim or (self.processes[0].name if self.processes else "a process")
            times = "once" if self.oom_kills == 1 else f"{self.oom_kills} times"
            if self._was_killed_below_its_limit():
                return [
                    ("killed", f"{who}: by the kernel's OOM killer ({times})"),
                    ("why", "it had not reached its own limit: a limit above it, or the machine, was out of memory"),
                ]
            return [("killed", f"{who}: the kernel's OOM killer was faster than the supervisor ({times})")]
        if self.stopped_by == "signal":
            return [("ended", f"by {signal_name(self.exit_code - 128)}")]
        return []

    def _was_killed_below_its_limit(self) -> bool:
        """Whether the kernel's own high-water mark says so, or, without limits of its own, what was seen."""
        if self.hard_limit is None:
            return self.peak_unreclaimable < self.budget
        return self.peak_with_cache is not None and self.peak_with_cache < self.hard_limit - _LARGEST_FOLIO

    def _peaks(self) -> str:
        parts = [f"at most {format_size(self.peak_unreclaimable)} of {format_size(self.budget)}"]
        if self.peak_with_cache is not None:
            parts.append(f"{format_size(self.peak_with_cache)} with page cache")
        if self.largest_process:
            parts.append(f"largest process {format_size(self.largest_process)}")
        if self.peak_shmem > self.peak_unreclaimable // 10:
            parts.append(f"{format_size(self.peak_shmem)} in shared memory and tmpfs")
        return ", ".join([*parts, f"{self.wall_seconds:.1f} s"])


def process_lines(
    processes: tuple[ProcessFacts, ...], maps: dict[int, tuple[MemoryShare, ...]]
) -> list[tuple[str, str]]:
    """The largest processes with their shares; of those that run no Python, what holds their memory."""
    lines = [
        (
            "" if index else "process",
            f"{process.pid}  {format_size(process.unreclaimable)}  {shlex.join(process.command)[:_LONGEST_COMMAND]}",
        )
        for index, process in enumerate(processes[:_SHOWN_PROCESSES])
    ]
    if len(processes) > _SHOWN_PROCESSES:
        lines.append(("", f"and {len(processes) - _SHOWN_PROCESSES} more"))
    for pid, shares in maps.items():
        held = ", ".join(f"{share.mapping} {format_size(share.size)}" for share in shares[:3])
        lines.append(("maps", f"{pid}  {held}"))
    return lines


def stack_lines(stacks: tuple[ProcessStack, ...], unread: dict[int, str]) -> list[tuple[str, str]]:
    """Where the first stacks were, innermost frame first; those at a line that was shown already are counted only.

    Frames of Python's own library (a pool's workers have seven of them) are left out below the innermost frame.
    """
    lines: list[tuple[str, str]] = []
    seen: dict[tuple[str, int], int] = {}
    for stack in stacks:
        if not stack.frames:
            continue
        at = (stack.frames[0].file, stack.frames[0].line)
        seen[at] = seen.get(at, 0) + 1
        if seen[at] > 1 or len(seen) > _SHOWN_STACKS:
            continue
        own = [frame for frame in stack.frames[1:] if not _of_the_library(frame)]
        for index, frame in enumerate((stack.frames[0], *own[: _SHOWN_FRAMES - 1])):
            lines.append(("" if lines else "python", f"{'  ' if index else f'{stack.pid}  '}{_called(frame)}"))
            if frame.source and not index:
                lines.append(("", f"      {frame.source}"))
    more = sum(seen.values()) - min(len(seen), _SHOWN_STACKS)
    if more:
        lines.append(("", f"and {more} more {'stack' if more == 1 else 'stacks'}, in --report"))
    return lines + [("no stack", f"{pid}  {why}") for pid, why in list(unread.items())[:_SHOWN_STACKS]]


def _of_the_library(frame: StackFrame) -> bool:
    return "/lib/python3" in frame.file and "-packages/" not in frame.file


def input_lines(inputs: tuple[OpenInput, ...]) -> list[tuple[str, str]]:
    """How far the job is in the files it reads; a file that several processes read counts once, the furthest."""
    shown: dict[str, OpenInput] = {}
    for opened in inputs:
        if opened.path not in shown or shown[opened.path].position < opened.position:
            shown[opened.path] = opened
    return [
        ("" if index else "input", f"{each.path}  {format_size(each.position)} of {format_size(each.size)} read")
        for index, each in enumerate(list(shown.values())[:_SHOWN_INPUTS])
    ]


def _called(frame: StackFrame) -> str:
    arguments = ", ".join(f"{name}={_short(value)}" for name, value in list(frame.arguments.items())[:_SHOWN_ARGUMENTS])
    more = ", ..." if len(frame.arguments) > _SHOWN_ARGUMENTS else ""
    called = frame.function if frame.function.startswith("<") else f"{frame.function}({arguments}{more})"
    return f"{frame.file}:{frame.line} in {called}"


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..."
