"""From the events of a recording, in their order, the profile; however early the recording ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
from oomguard.supervision.model import GrownCall, GrownStack, MemorySample
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oomguard.profiling.recording_lines import Event


# The peak by two clocks: samples, and the kernel's high-water mark, which is exact in time and counts page cache.
#
# Where the mark can be set back (cgroup v1; v2 since Linux 6.12) it tells of each interval between two samples. What
# was unreclaimable at the mark is the mark less the page cache of that moment. That is taken to lie between what the
# two samples saw; cache that goes and comes again within one interval hides as much memory. Cache that comes and
# goes, such as of a file that is written and deleted in a tenth of a second, is not taken for memory: that comes by
# page faults, and is no more than those of the interval can have filled. Without a mark, a spike between two samples
# is bounded by how fast this machine can fill memory.


MOST_POINTS = 3000


@dataclass(slots=True)
class Timeline:
    """At most `most` samples, evenly thinned; the highest of all is always among them."""

    most: int = MOST_POINTS
    _points: list[MemorySample] = field(default_factory=list)
    _apart: float = 0.0  # seconds; closer ones are merged
    _last: float = float("-inf")

    def add(self, sample: MemorySample) -> None:
        """Add the newest sample."""
        if self._points and sample.seconds - self._last < self._apart:
            if sample.unreclaimable > self._points[-1].unreclaimable:
                self._points[-1] = sample
            return
        self._points.append(sample)
        self._last = sample.seconds
        if len(self._points) > self.most:
            self._halve()

    def __iter__(self) -> Iterator[MemorySample]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    def _halve(self) -> None:
        first, last = self._points[0].seconds, self._points[-1].seconds
        self._apart = max(2 * self._apart, 2 * (last - first) / self.most)
        kept: list[MemorySample] = []
        begin = float("-inf")
        for point in self._points:
            if point.seconds - begin >= self._apart:
                kept.append(point)
                begin = point.seconds
            elif point.unreclaimable > kept[-1].unreclaimable:
                kept[-1] = point
        if len(kept) > 1 + self.most // 2:  # they were all taken at one moment
            kept = [max(kept[at : at + 2], key=lambda point: point.unreclaimable) for at in range(0, len(kept), 2)]
        self._points, self._last = kept, begin


_SLACK = 2 * MIB  # the kernel charges in batches for each CPU
_SLACK_PART = 64


@dataclass(slots=True)
class PeakClocks:
    """Takes samples in order; `fill_rate` is bytes a second that this machine can hand out at most."""

    fill_rate: float
    peak: int = 0  # unreclaimable, each page once
    peak_seconds: float = 0.0
    by_the_mark: bool = False  # it lies between two samples
    peak_with_cache: int = 0
    largest_process: int = 0
    summed_rss: int = 0
    samples: int = 0
    longest_gap: float = 0.0  # seconds
    _bound: int = 0  # no peak was above this
    _mark: int | None = None  # the highest; what is known of the whole run
    _before: MemorySample | None = None

    def take(self, sample: MemorySample) -> bool:
        """Take a sample; says whether it is the highest so far."""
        self.samples += 1
        self.peak_with_cache = max(self.peak_with_cache, sample.most or 0, sample.unreclaimable + (sample.cache or 0))
        self.largest_process = max(self.largest_process, sample.largest_process)
        self.summed_rss = max(self.summed_rss, sample.summed_rss)
        self._look_between(sample)
        self._before = sample
        if sample.unreclaimable <= self.peak or not sample.exact:
            return False  # an upper bound is not a peak; it is in the bound
        self.peak, self.peak_seconds, self.by_the_mark = sample.unreclaimable, sample.seconds, False
        return True

    @property
    def missed_at_most(self) -> int:
        """How much higher than `peak` the truth can be. Units: bytes."""
        return max(0, self._bound - self.peak)

    def told(self) -> Peaks:
        """Give the peaks so far, as a recording keeps them."""
        return Peaks(
            peak_unreclaimable=self.peak,
            peak_seconds=self.peak_seconds,
            by_the_mark=self.by_the_mark,
            peak_with_cache=self.peak_with_cache,
            largest_process=self.largest_process,
            summed_rss=self.summed_rss,
            missed_at_most=self.missed_at_most,
            samples=self.samples,
            longest_gap=self.longest_gap,
        )

    def _look_between(self, sample: MemorySample) -> None:
        before = self._before
        gap = sample.seconds - (before.seconds if before is not None else 0.0)
        self.longest_gap = max(self.longest_gap, gap)
        if sample.most is not None:
            self._mark = max(self._mark or 0, sample.most)
        caches = self._caches(sample, gap)
        swapped = (before.swap if before is not None else 0, sample.swap)
        if sample.most is None:
            fastest = int(self.fill_rate * gap)
            filled = fastest if sample.filled is None else min(fastest, sample.filled)
            bound = (before.unreclaimable if before is not None else 0) + filled
            # A mark that cannot be set back is given only when it rose: without one, the highest so far still holds.
            bound = bound if self._mark is None else min(bound, self._mark - min(caches) + max(swapped))
            self._bound = max(self._bound, sample.unreclaimable, bound)
            return
        self._bound = max(self._bound, sample.unreclaimable, sample.most - min(caches) + max(swapped))
        # What the mark counts and memory.stat does not say: batches of the CPUs.
        uncounted = max(0, (sample.charged or 0) + sample.swap - sample.unreclaimable - (sample.cache or 0))
        sure = sample.most - max(caches) - uncounted + min(swapped)
        if sample.filled is not None:
            sure = min(sure, (before.unreclaimable if before is not None else 0) + sample.filled)
        slack = _SLACK + self.peak // _SLACK_PART
        if sure > max(self.peak, sample.unreclaimable) + slack:
            self.peak, self.peak_seconds, self.by_the_mark = sure, sample.seconds, True

    def _caches(self, sample: MemorySample, gap: float) -> tuple[int, int]:
        """The page cache at the two ends of the interval. Before the first sample it grew as fast as it can."""
        cache = sample.cache or 0
        if self._before is None:
            return max(0, cache - int(self.fill_rate * gap)), cache
        return self._before.cache or 0, cache


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
