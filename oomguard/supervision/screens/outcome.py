"""What a person sees of a run that has ended."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.supervision.model import called
from oomguard.text import printable, signal_name
from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.formats.proc import MemoryShare
    from oomguard.kernel.model import OpenInput, ProcessFacts, ProcessStack, StackFrame
    from oomguard.supervision.model import RunOutcome

_SHOWN_PROCESSES = 5
_SHOWN_STACKS = 3
_SHOWN_FRAMES = 6
_SHOWN_INPUTS = 3
_LONGEST_COMMAND = 120
_LARGEST_FOLIO = 2 << 20  # bytes: what is charged at once, and so may be missing to a limit that was met


def render_outcome(outcome: RunOutcome) -> RenderableType:
    """Build the screen: what was decided, and for a job that was stopped, why."""
    from rich.table import Table
    from rich.text import Text

    screen = Table.grid(padding=(0, 2))
    screen.add_column(no_wrap=True)
    screen.add_column(overflow="fold")
    for label, value in outcome_lines(outcome):
        screen.add_row(label, Text(printable(value)))
    return screen


def outcome_lines(outcome: RunOutcome) -> list[tuple[str, str]]:
    """The screen as labels and texts."""
    if outcome.stopped_by is None or outcome.stopped_by == "signal":
        return [("memory", _peaks(outcome)), *_verdict_lines(outcome)]
    return [
        *_verdict_lines(outcome),
        ("memory", _peaks(outcome)),
        *process_lines(outcome.processes, outcome.memory_maps),
        *stack_lines(outcome.stacks, outcome.unread_stacks),
        *input_lines(outcome.inputs),
        *(("files", f"{path}  {format_size(size)}, in memory") for path, size in outcome.files_in_memory[:2]),
        *(("try", line) for line in outcome.advice),
    ]


def _verdict_lines(outcome: RunOutcome) -> list[tuple[str, str]]:
    command = shlex.join(outcome.command)[:_LONGEST_COMMAND]
    budget = f"its budget of {format_size(outcome.budget)} ({outcome.enforced_by})"
    if outcome.stopped_by == "budget" and outcome.held_seconds is None:
        how = f"the kernel refused it more than {format_size(outcome.hard_limit or outcome.budget)} before oomguard "
        return [
            ("refused", f"{command}: it reached {format_size(outcome.peak_unreclaimable)}, {budget}"),
            ("how", f"{how}could freeze it; it ended by itself, with status {outcome.exit_code}"),
        ]
    if outcome.stopped_by == "budget":
        held = format_size(outcome.held_unreclaimable or outcome.peak_unreclaimable)
        return [
            ("stopped", f"{command}: it reached {held}, {budget}"),
            ("when", f"{outcome.held_seconds or 0:.1f} s after its start"),
        ]
    if outcome.stopped_by == "kernel":
        who = outcome.victim or (outcome.processes[0].name if outcome.processes else "a process")
        times = "once" if outcome.oom_kills == 1 else f"{outcome.oom_kills} times"
        if _was_killed_below_its_limit(outcome):
            return [
                ("killed", f"{who}: by the kernel's OOM killer ({times})"),
                ("why", "it had not reached its own limit: a limit above it, or the machine, was out of memory"),
            ]
        return [("killed", f"{who}: the kernel's OOM killer acted before oomguard could freeze the job ({times})")]
    if outcome.stopped_by == "signal":
        return [("ended", f"by {signal_name(outcome.exit_code - 128)}")]
    return []


def _was_killed_below_its_limit(outcome: RunOutcome) -> bool:
    """Whether the kernel's own high-water mark says so, or, without limits of its own, what was seen."""
    if outcome.hard_limit is None:
        return outcome.peak_unreclaimable < outcome.budget
    return outcome.peak_with_cache is not None and outcome.peak_with_cache < outcome.hard_limit - _LARGEST_FOLIO


def _peaks(outcome: RunOutcome) -> str:
    parts = [f"peak {format_size(outcome.peak_unreclaimable)} of {format_size(outcome.budget)}"]
    if outcome.peak_with_cache is not None:
        parts.append(f"{format_size(outcome.peak_with_cache)} with page cache")
    if outcome.largest_process:
        parts.append(f"largest process {format_size(outcome.largest_process)}")
    if outcome.peak_shmem > outcome.peak_unreclaimable // 10:
        parts.append(f"{format_size(outcome.peak_shmem)} in shared memory and tmpfs")
    return ", ".join([*parts, f"{outcome.wall_seconds:.1f} s"])


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
            lines.append(("" if lines else "python", f"{'  ' if index else f'{stack.pid}  '}{called(frame)}"))
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
