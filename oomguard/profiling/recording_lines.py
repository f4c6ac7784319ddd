"""The lines of a recording, as they are written and read again. A reader takes what it knows and leaves the rest.

A line is a JSON object with one key, which says what it is: "recording" (the head), "s" (a sample), "p" (a process
that was seen first), "stage", "peaks", "lines", "call" and "stack" (each once), "held" (by stack), "forecast", "note",
"end". A torn last line is ignored. Recordings of 0.1 have no stacks.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from oomguard.supervision.model import GrownLine, MemorySample, ProcessMemory, RunOutcome
from oomguard.units import format_size

VERSION = 1
_LONGEST_LINE = 1 << 20
_MOST_NUMBER = 1 << 62
_LONGEST_TEXT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHead:
    """How a profile began. Units: bytes, seconds since 1970."""

    command: tuple[str, ...]
    folder: str  # where it was started
    began: float
    tier: str  # "cgroup v1", "cgroup v2", "systemd scope", "samples of /proc"
    exact_mark: bool  # the kernel's high-water mark tells of each interval
    available: int  # memory for a new job, when it began
    limited_by: str
    cpus: int
    host: str = ""  # recordings of 0.1 do not name it


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenProcess:
    """A process, when it was seen first."""

    seconds: float
    pid: int
    parent_pid: int
    name: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMark:
    """A stage that a program began or ended."""

    seconds: float
    pid: int
    begins: bool
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The peaks so far. Units: bytes, seconds."""

    peak_unreclaimable: int = 0
    peak_seconds: float = 0.0
    by_the_mark: bool = False
    peak_with_cache: int = 0
    largest_process: int = 0
    summed_rss: int = 0
    missed_at_most: int = 0
    samples: int = 0
    longest_gap: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCall:
    """A line of code in a stack; line 0 is a program whose stack is not known."""

    number: int
    file: str
    line: int
    function: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenStack:
    """A stack that memory grew in: the numbers of its calls, outermost first."""

    number: int
    calls: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByStacks:
    """What of the peak so far grew in which stack: numbers and bytes, the largest first."""

    stacks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastMade:
    """What was said of the end of the input. Units: bytes, seconds."""

    seconds: float
    input: str
    input_bytes: int
    read_bytes: int
    method: str  # "read position", "ladder"
    at_end: int | None = None  # None: `why_not` says why nothing can be said
    base: int = 0
    per_byte: float = 0.0
    band: int = 0
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEnd:
    """How it ended."""

    exit_code: int | None  # None: it was detached from, and still runs
    seconds: float
    stopped: str  # why the profiler ended it itself; "" when it did not


def why_stopped(outcome: RunOutcome, available: int) -> str:
    """Say why a run that had `available` bytes was ended, for people; "" if it ended by itself."""
    if outcome.stopped_by == "budget":
        return f"ended at the {format_size(available)} that was available"
    return "OOM-killed by the kernel" if outcome.stopped_by == "kernel" else ""


Event = (
    RecordingHead
    | MemorySample
    | SeenProcess
    | StageMark
    | Peaks
    | SeenCall
    | SeenStack
    | HeldByStacks
    | tuple[GrownLine, ...]
    | ForecastMade
    | RecordingEnd
    | str
)


_KINDS = {
    "p": SeenProcess, "stage": StageMark, "peaks": Peaks, "call": SeenCall, "forecast": ForecastMade,
    "end": RecordingEnd,
}  # fmt: skip
_MOST_CALLS, _MOST_STACKS = 200, 1000  # of a stack; told of at once


def _sample_line(sample: MemorySample) -> dict[str, Any]:
    processes = [[p.pid, p.anon, p.shmem, p.file, p.swap] for p in sample.processes]
    return {"s": [round(sample.seconds, 3), sample.unreclaimable, int(sample.exact), sample.cache, processes]}


def event_line(event: Event) -> dict[str, Any]:
    """The line of an event; times of samples to the millisecond."""
    match event:
        case MemorySample():
            line = _sample_line(event)
        case RecordingHead():
            line = {"recording": VERSION, **asdict(event)}
        case tuple():
            line = {"lines": [asdict(each) for each in event]}
        case SeenStack():
            line = {"stack": [event.number, *event.calls]}
        case HeldByStacks():
            line = {"held": [list(one) for one in event.stacks]}
        case str():
            line = {"note": event}
        case _:
            line = {next(key for key, kind in _KINDS.items() if isinstance(event, kind)): asdict(event)}
    return line


def read_line(line: bytes) -> Event | None:
    """Read a line; None for one that is torn, or of a kind or a shape that is not known. Raises: nothing."""
    if len(line) > _LONGEST_LINE:
        return None
    try:
        found = json.loads(line)
        return _event(found) if isinstance(found, dict) else None
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
        return None


def _event(found: dict[str, Any]) -> Event | None:
    if "s" in found:
        return _sample(found["s"])
    if "recording" in found:
        head: RecordingHead = _typed(
            RecordingHead, {**found, "command": tuple(_text(part) for part in found["command"])}
        )
        return head if _whole(found["recording"]) == VERSION else None
    for key, kind in _KINDS.items():
        if key in found:
            known: Event = _typed(kind, found[key])
            return known
    if "stack" in found or "held" in found:
        return _stack_event(found)
    if "lines" in found:
        return tuple(_typed(GrownLine, line) for line in found["lines"][:200])
    return _text(found["note"]) if "note" in found else None


def _stack_event(found: dict[str, Any]) -> Event:
    if "stack" in found:
        number, *calls = map(_size, found["stack"][: _MOST_CALLS + 1])
        return SeenStack(number=number, calls=tuple(calls))
    return HeldByStacks(stacks=tuple((_size(number), _size(size)) for number, size in found["held"][:_MOST_STACKS]))


def _typed(kind: Any, fields: dict[str, Any]) -> Any:
    """Make a dataclass of a JSON object: each field must have its type, and numbers are bounded."""
    values: dict[str, Any] = {}
    for name, wanted in kind.__annotations__.items():
        if name not in fields:
            continue
        value, optional = fields[name], "None" in wanted
        if value is None and optional:
            values[name] = None
        elif wanted.startswith("int"):
            values[name] = _whole(value)
        elif wanted == "float":
            values[name] = float(_number(value))
        elif wanted == "bool":
            values[name] = _truth(value)
        elif wanted == "str":
            values[name] = _text(value)
        else:
            values[name] = value
    return kind(**values)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_MOST_NUMBER < value < _MOST_NUMBER:
        raise ValueError("not a number, or not one that a recording holds")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError("not a whole number")
    return int(_number(value))


def _size(value: Any) -> int:
    if _whole(value) < 0:
        raise ValueError("a negative size")
    return int(value)


def _truth(value: Any) -> bool:
    if value not in (True, False):  # 0 and 1 as well: a sample's
        raise TypeError("neither true nor false")
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value[:_LONGEST_TEXT]


def _sample(parts: list[Any]) -> MemorySample:
    seconds, unreclaimable, exact, cache, processes = parts
    return MemorySample(
        seconds=float(_number(seconds)),
        unreclaimable=_size(unreclaimable),
        exact=_truth(exact),
        cache=None if cache is None else _size(cache),
        processes=tuple(ProcessMemory(*map(_size, process)) for process in processes[:100]),
    )
