"""What a person sees of a run: one that ended, one that stands still at its budget, and one that was released."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from oomguard.supervision.model import called
from oomguard.supervision.rules.user_code import is_helper, is_library, user_frame, waits
from oomguard.text import Command, Rows, printable, signal_name
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.formats.proc import MemoryShare
    from oomguard.kernel.model import OpenInput, ProcessFacts, ProcessStack, StackFrame
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.model import GrownLine, Released, RunOutcome, Snapshot

_SHOWN_PROCESSES = 5
_SHOWN_ALIKE = 3  # of many processes that hold as much as each other
_SHARE = 10  # a process is worth naming that holds one part of so many
_SHOWN_STACKS = 3
_SHOWN_GROWN = 2
_GROWN_SHARE = 5  # lines that one part of so many of the growth was in
_LEAST_SINCE = 20  # growth of less than one part of so many of the budget says nothing
_INSTALLED = re.compile(r"^.*?/((site|dist)-packages|lib(64)?/python3[^/]*)/(?!.*-packages/)")
_SHOWN_INPUTS = 3
_LONGEST_COMMAND = 120
_READ_ANYWHERE = re.compile(
    r"\.(parquet|arrow|feather|orc|zip|h5|hdf5|db|sqlite3?|duckdb|npy|npz|lance)$", re.IGNORECASE
)
_WORTH_SAYING = 1.02
_LARGEST_FOLIO = 2 << 20  # bytes: what is charged at once, and so may be missing to a limit that was met


def render_outcome(outcome: RunOutcome) -> RenderableType:
    """Build the screen: what was decided, and for a job that was stopped, why."""
    return Rows([row for line in outcome_lines(outcome) for row in _with_command(*line)])


def _with_command(label: str, text: str) -> list[tuple[str, str | Command]]:
    """Advice may end with a command to paste, which gets a line of its own: there it is never broken."""
    said, is_there, rest = text.partition(": oomguard ") if label == "try" else (text, "", "")
    return [(label, f"{said}:"), ("", Command(f"oomguard {rest}"))] if is_there else [(label, text)]


def outcome_lines(outcome: RunOutcome) -> list[tuple[str, str]]:
    """The screen as labels and texts."""
    if outcome.stopped_by is None or outcome.stopped_by == "signal":
        advice = [("try", line) for line in outcome.advice]
        return [("memory", _peaks(outcome)), *_verdict_lines(outcome), *advice]
    return [
        *_verdict_lines(outcome),
        ("memory", _peaks(outcome)),
        *process_lines(outcome.processes, outcome.memory_maps),
        *code_lines(outcome, outcome.unread_stacks),
        *input_lines(outcome.inputs),
        *(("files", f"{path}  {format_size(size)}, in memory") for path, size in outcome.files_in_memory[:2]),
        *(("try", line) for line in outcome.advice),
    ]


def _verdict_lines(outcome: RunOutcome) -> list[tuple[str, str]]:
    command = shlex.join(outcome.command)[:_LONGEST_COMMAND]
    budget = f"its budget was {format_size(outcome.budget)} ({outcome.enforced_by})"
    if outcome.stopped_by == "budget" and outcome.held_seconds is None:
        limit = format_size(outcome.hard_limit or outcome.budget)
        how = f"the kernel refused it memory beyond {limit} before oomguard "
        return [
            ("refused", f"{command}: it reached {format_size(outcome.peak_unreclaimable)}; {budget}"),
            ("how", f"{how}could freeze it; it ended by itself, with status {outcome.exit_code}"),
        ]
    if outcome.stopped_by == "budget":
        held = format_size(outcome.held_unreclaimable or outcome.peak_unreclaimable)
        return [
            ("stopped", f"{command}: it reached {held}; {budget}"),
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
    parts = [f"peak {format_size(outcome.peak_unreclaimable)}"]
    if outcome.peak_at_most is not None and outcome.peak_at_most > outcome.peak_unreclaimable * _WORTH_SAYING:
        parts[0] += f" (at most {format_size(outcome.peak_at_most)})"
    if outcome.peak_with_cache is not None:
        parts.append(f"{format_size(outcome.peak_with_cache)} with page cache")
    parts.append(f"budget {format_size(outcome.budget)}")
    if outcome.largest_process:
        parts.append(f"largest process {format_size(outcome.largest_process)}")
    if outcome.peak_shmem > outcome.peak_unreclaimable // 10:
        parts.append(f"{format_size(outcome.peak_shmem)} in shared memory and tmpfs")
    return f"{', '.join(parts)}; run time {outcome.wall_seconds:.1f} s"


def process_lines(
    processes: tuple[ProcessFacts, ...], maps: dict[int, tuple[MemoryShare, ...]]
) -> list[tuple[str, str]]:
    """The processes that hold a share worth naming; of those that run no Python, what holds their memory."""
    total, largest = sum(each.unreclaimable for each in processes), processes[0].unreclaimable if processes else 0
    worth = sum(each.unreclaimable * _SHARE >= total for each in processes)
    alike = sum(each.unreclaimable * 2 >= largest for each in processes)
    shown = processes[: max(1, min(worth, _SHOWN_PROCESSES), min(alike, _SHOWN_ALIKE))]
    lines = [
        (
            "" if index else "process",
            f"{process.pid}  {format_size(process.unreclaimable)}  {shlex.join(process.command)[:_LONGEST_COMMAND]}",
        )
        for index, process in enumerate(shown)
    ]
    rest = processes[len(shown) :]
    if rest:
        together = format_size(sum(each.unreclaimable for each in rest))
        lines.append(("", f"and {len(rest)} more, {together}{' together' if len(rest) > 1 else ''}"))
    for pid, shares in maps.items():
        held = ", ".join(f"{share.mapping} {format_size(share.size)}" for share in shares[:3])
        lines.append(("maps", f"{pid}  {held}"))
    return lines


def code_lines(seen: Snapshot | RunOutcome, unread: dict[int, str]) -> list[tuple[str, str]]:
    """What grew, and where the job stood: the user's line first, with its source, and then one line for the library.

    One stack is shown, and others where several processes hold a tenth each and stand elsewhere.
    """
    grown = _grown_to_show(seen)
    stands = _stacks_to_show(seen.stacks, seen.processes)
    at = {(frame.file, frame.line) for _, frame in stands if frame is not None}
    elsewhere = [line for line in grown if (line.file, line.line) not in at]
    code: list[tuple[str, str]] = []
    for number, (stack, frame) in enumerate(stands):
        code += _stack_lines(stack, frame, "" if number else "python")
        for line in grown:
            if frame is not None and (line.file, line.line) == (frame.file, frame.line):
                code.append(("", f"      {_much(line, seen)} of growth came from here"))
    others = [shown for line in elsewhere for shown in _grown_lines(line, seen)]
    # What grew most comes first, if it is the user's own line; where the job stands is before a library's.
    is_first = elsewhere[:1] == grown[:1] and not any(is_library(line.file) for line in elsewhere[:1])
    lines = [*others, *code] if is_first else [*code, *others]
    return lines + [("no stack", f"{pid}  {why}") for pid, why in list(unread.items())[:_SHOWN_STACKS]]


def _much(line: GrownLine, seen: Snapshot | RunOutcome) -> str:
    return f"{format_size(line.grew_bytes)} of the last {format_size(seen.grown_since)}"


def _grown_lines(line: GrownLine, seen: Snapshot | RunOutcome) -> list[tuple[str, str]]:
    shown = [("grew", f"{_much(line, seen)}  {_short_file(line.file)}:{line.line} in {line.function}")]
    return [*shown, ("", f"      {line.source}")] if line.source else shown


def _stack_lines(stack: ProcessStack, frame: StackFrame | None, label: str) -> list[tuple[str, str]]:
    inner = stack.frames[0]
    lines = [(label, f"{stack.pid}  {called(frame if frame is not None else inner)}")]
    source = (frame if frame is not None else inner).source
    if source:
        lines.append(("", f"      {source}"))
    if frame is not None and inner is not frame and not inner.file.startswith("<"):
        lines.append(("", f"  in {_short_file(inner.file)}:{inner.line} in {inner.function}"))
    return lines


def _grown_to_show(seen: Snapshot | RunOutcome) -> list[GrownLine]:
    """Lines of Python that a fifth of the growth was in; none where too little was seen to say anything."""
    if seen.grown_since * _LEAST_SINCE < seen.budget:
        return []
    worth = [line for line in seen.grown if line.line and line.grew_bytes * _GROWN_SHARE >= seen.grown_since]
    return [line for number, line in enumerate(worth[:_SHOWN_GROWN]) if not number or not is_library(line.file)]


def _stacks_to_show(
    stacks: tuple[ProcessStack, ...], processes: tuple[ProcessFacts, ...]
) -> list[tuple[ProcessStack, StackFrame | None]]:
    """Of each process worth naming the thread to show, with the user's frame in it; each place once.

    Where the thread that works is a library's own, the user's line is that of the process's main thread.
    """
    total = sum(process.unreclaimable for process in processes)
    holds = {
        process.pid: process.unreclaimable * _SHARE >= total and not is_helper(process.command) for process in processes
    }
    shown: dict[tuple[str, int], tuple[ProcessStack, StackFrame | None]] = {}
    first: int | None = None
    for pid in dict.fromkeys(stack.pid for stack in stacks if stack.frames):
        if first is not None and not holds.get(pid, False):
            continue
        first = pid if first is None else first
        own = [stack for stack in stacks if stack.pid == pid and stack.frames]
        if shown and waits(own[0]):
            continue
        named = [(stack, frame) for stack in own if (frame := user_frame(stack.frames)) is not None]
        stack, frame = named[0] if named else (own[0], None)
        place = frame if frame is not None else stack.frames[0]
        shown.setdefault((place.file, place.line), (stack, frame))
    return list(shown.values())[:_SHOWN_STACKS]


def _short_file(file: str) -> str:
    """A library's file without the folders that it is installed in; the user's as it is."""
    return _INSTALLED.sub("", file) if is_library(file) else file


def input_lines(inputs: tuple[OpenInput, ...]) -> list[tuple[str, str]]:
    """How far the job is in the files it reads; a file that several processes read counts once, the furthest."""
    shown: dict[str, OpenInput] = {}
    for opened in inputs:
        if opened.path not in shown or shown[opened.path].position < opened.position:
            shown[opened.path] = opened
    return [
        ("" if index else "input", f"{each.path}  {_read_of(each)}")
        for index, each in enumerate(list(shown.values())[:_SHOWN_INPUTS])
    ]


def _read_of(opened: OpenInput) -> str:
    """How far it was read; a position at 0, or in a file whose format is read here and there, says nothing."""
    if opened.position == 0 or _READ_ANYWHERE.search(opened.path):
        return f"{format_size(opened.size)}; how far it was read cannot be seen (mmap, pread or seeks)"
    return f"{format_size(opened.position)} of {format_size(opened.size)} read"


def forecast_line(forecast: Forecast, read: OpenInput) -> str:
    """The warning that the job will not fit."""
    return (
        f"warning: heading for about {format_size(forecast.at_end)} by the end of {read.path}, more than the budget "
        f"({forecast.read_fraction:.0%} read; assumes one pass and steady growth)"
    )


def released_line(budget: int) -> str:
    """What is said when a held job continues."""
    return f"released: it continues with a budget of {format_size(budget)}"


def render_held(held: Snapshot, supervisor_pid: int, suggested: int) -> RenderableType:
    """Build the screen: where it stands, and what to type. `suggested` is a budget it could continue with."""
    from rich.table import Table
    from rich.text import Text

    screen = Table.grid(padding=(0, 2))
    screen.add_column(no_wrap=True)
    screen.add_column(overflow="fold")
    budget = f"{suggested // MIB}M"
    for label, value in (
        (
            "frozen",
            f"at {format_size(held.unreclaimable)} of {format_size(held.budget)}, {held.seconds:.1f} s after its start",
        ),
        *process_lines(held.processes, held.maps),
        *code_lines(held, held.unread),
        *input_lines(held.inputs),
        ("continue", f"oomguard release {supervisor_pid} --max-rss {budget}   (key r)"),
        ("end", f"oomguard release {supervisor_pid} --stop   (key s)"),
    ):
        screen.add_row(label, Text(printable(value)))
    return screen


def render_released(released: Released) -> RenderableType:
    """One line."""
    from rich.text import Text

    if released.stopped:
        return Text(f"process {released.pid}: the job is being ended")
    return Text(f"process {released.pid}: the job continues with a budget of {format_size(released.budget or 0)}")
