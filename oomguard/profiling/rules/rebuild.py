"""From the events of a recording, in their order, the profile; however early the recording ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.profiling.model import PeakProfile, StageBand
from oomguard.profiling.recording_lines import (
    ForecastMade,
    HeldByStacks,
    Peaks,
    RecordingEnd,
    RecordingHead,
    SeenCall,
    SeenProcess,
    SeenStack,
    StageMark,
)
from oomguard.profiling.rules.peaks import Timeline
from oomguard.supervision.model import GrownCall, GrownStack, MemorySample

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.profiling.recording_lines import Event

_MOST_KEPT = 4000  # of each kind, whatever a file says
_MOST_CALLS = 40_000
_UNKNOWN = GrownCall(file="a call that the recording does not name", line=0, function="", source="")


def build_profile(events: Iterable[Event]) -> PeakProfile:
    """Put the events together. Raises: BadInput if none of them is the head of a recording."""
    last: dict[type, Event] = {}
    seen: dict[int, SeenProcess] = {}
    marks: list[StageMark] = []
    notes: dict[str, None] = {}
    calls: dict[int, GrownCall] = {}
    stacks: dict[int, tuple[int, ...]] = {}
    timeline, later = Timeline(), Peaks()
    for event in events:
        match event:
            case MemorySample():
                timeline.add(event)
                later = _with_sample(later, event)
            case SeenProcess() if len(seen) < _MOST_KEPT:
                seen[event.pid] = event
            case StageMark() if len(marks) < _MOST_KEPT:
                marks.append(event)
            case SeenCall() if len(calls) < _MOST_CALLS:
                calls[event.number] = GrownCall(
                    file=event.file, line=event.line, function=event.function, source=event.source
                )
            case SeenStack() if len(stacks) < _MOST_KEPT:
                stacks[event.number] = event.calls
            case str() if len(notes) < _MOST_KEPT:
                notes[event] = None
            case _:
                last[type(event)] = event
    head = last.get(RecordingHead)
    if not isinstance(head, RecordingHead):
        raise BadInput("this is not a recording of a profile", do="oomguard profile -o FILE -- COMMAND")
    peaks, lines, forecast, end = (last.get(kind) for kind in (Peaks, tuple, ForecastMade, RecordingEnd))
    return PeakProfile(
        head=head,
        peaks=_latest(peaks if isinstance(peaks, Peaks) else Peaks(), later),
        lines=lines if isinstance(lines, tuple) else (),
        stages=_bands(marks),
        timeline=tuple(timeline),
        processes=tuple(seen.values()),
        forecast=forecast if isinstance(forecast, ForecastMade) else None,
        end=end if isinstance(end, RecordingEnd) else None,
        notes=tuple(notes),
        stacks=_grown_stacks(last.get(HeldByStacks), stacks, calls),
    )


def _grown_stacks(
    held: Event | None, stacks: dict[int, tuple[int, ...]], calls: dict[int, GrownCall]
) -> tuple[GrownStack, ...]:
    """A stack that is held and not in the file is one call without a name: its bytes are not lost."""
    if not isinstance(held, HeldByStacks):
        return ()
    sizes = dict(held.stacks)
    grown = [
        GrownStack(
            number=number,
            grew_bytes=size,
            calls=tuple(calls.get(call, _UNKNOWN) for call in stacks.get(number, ())) or (_UNKNOWN,),
        )
        for number, size in sizes.items()
    ]
    return tuple(sorted(grown, key=lambda stack: -stack.grew_bytes))


def _with_sample(peaks: Peaks, sample: MemorySample) -> Peaks:
    """What the samples alone say; the last peaks that were written may be half a second old."""
    if sample.unreclaimable > peaks.peak_unreclaimable:
        peaks = replace(peaks, peak_unreclaimable=sample.unreclaimable, peak_seconds=sample.seconds)
    return replace(peaks, largest_process=max(peaks.largest_process, sample.largest_process))


def _latest(told: Peaks, later: Peaks) -> Peaks:
    if later.peak_unreclaimable <= told.peak_unreclaimable:
        return told
    return replace(
        told,
        peak_unreclaimable=later.peak_unreclaimable,
        peak_seconds=later.peak_seconds,
        by_the_mark=False,
        peak_with_cache=max(told.peak_with_cache, later.peak_unreclaimable),
        largest_process=max(told.largest_process, later.largest_process),
        summed_rss=max(told.summed_rss, later.largest_process),
    )


def _bands(marks: list[StageMark]) -> tuple[StageBand, ...]:
    """A stage ends with the last of its name and process that began."""
    bands: list[StageBand] = []
    open_: dict[tuple[int, str], list[int]] = {}
    for mark in marks:
        key = (mark.pid, mark.name)
        if mark.begins:
            open_.setdefault(key, []).append(len(bands))
            bands.append(StageBand(name=mark.name, pid=mark.pid, begin=mark.seconds, end=None))
        elif open_.get(key):
            number = open_[key].pop()
            bands[number] = replace(bands[number], end=mark.seconds)
    return tuple(bands)
