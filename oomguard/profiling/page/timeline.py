"""The timeline of a profile as numbers for a chart: few, and rounded."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from oomguard.profiling.model import PeakProfile, StageBand
    from oomguard.supervision.model import MemorySample, ProcessMemory

# Each kind of memory, and its name for people. File pages are not among them: the kernel takes them back.
KINDS = {"anon": "anonymous", "shmem": "shared", "swap": "swapped out"}
MOST_MOMENTS = 500
MOST_CURVES = 12  # processes with a curve of their own
MOST_BANDS = 60
_LANES = 4  # rows of stages, which may lie within each other or run side by side
_STEPS = 1 << 16  # a curve of one process or kind is drawn in this many steps
_LABEL = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldProcess:
    """A process and the most it held at once, whole pages of what it shared. Units: bytes, seconds."""

    pid: int
    name: str
    command: str
    most: int  # anon + shmem + swap
    most_file: int
    first: float
    last: float


def chart_label(text: str, most: int = _LABEL) -> str:
    """Make a name fit for a chart: printable and short."""
    shown = printable(text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def held_processes(profile: PeakProfile) -> list[HeldProcess]:
    """Give the processes that a sample shows, the largest first."""
    seen = {process.pid: process for process in profile.processes}
    looks: dict[int, list[tuple[float, ProcessMemory]]] = defaultdict(list)
    for sample in profile.timeline:
        for process in sample.processes:
            looks[process.pid].append((sample.seconds, process))
    held = [
        HeldProcess(
            pid=pid,
            name=seen[pid].name if pid in seen else "?",
            command=seen[pid].command if pid in seen else "",
            most=max(memory.growing for _, memory in at),
            most_file=max(memory.file for _, memory in at),
            first=at[0][0],
            last=at[-1][0],
        )
        for pid, at in looks.items()
    ]
    return sorted(held, key=attrgetter("most"), reverse=True)


def thinned(timeline: Sequence[MemorySample], most: int = MOST_MOMENTS) -> list[MemorySample]:
    """Keep at most `most` samples: of each span of time the lowest and the highest, and the first and the last."""
    samples = sorted(timeline, key=attrgetter("seconds"))
    if len(samples) <= most:
        return samples
    first, last = samples[0], samples[-1]
    spans = (most - 2) // 2
    of_span: dict[int, list[MemorySample]] = defaultdict(list)
    for sample in samples:
        passed = (sample.seconds - first.seconds) / ((last.seconds - first.seconds) or 1)
        of_span[min(spans - 1, int(passed * spans))].append(sample)
    kept = {id(sample): sample for sample in (first, last)}
    for span in of_span.values():
        for sample in (min(span, key=attrgetter("unreclaimable")), max(span, key=attrgetter("unreclaimable"))):
            kept[id(sample)] = sample
    return sorted(kept.values(), key=attrgetter("seconds"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What a kind of memory, or a process, held at each moment, in `unit` bytes."""

    label: str
    sizes: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartData:
    """What is drawn. Units: seconds; bytes, of the curves of processes and kinds in `unit` bytes."""

    seconds: list[float]
    total: list[int]
    exact: bool
    cache: list[int | None] | None
    unit: int
    kinds: list[Curve]
    processes: list[Curve]
    peak: tuple[float, int]
    available: int
    stages: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Give what the page's script reads out."""
        return {
            "seconds": self.seconds,
            "total": self.total,
            "cache": self.cache,
            "unit": self.unit,
            "kinds": [{"label": curve.label, "sizes": curve.sizes} for curve in self.kinds],
            "processes": [{"label": curve.label, "sizes": curve.sizes} for curve in self.processes],
            "stages": self.stages,
        }


def chart_data(profile: PeakProfile) -> ChartData:
    """Give what is drawn. A process's curve is what it makes grow: its file pages are reclaimable."""
    samples = thinned(profile.timeline)
    held = held_processes(profile)
    most = max((process.most + process.most_file for process in held), default=0)
    unit = max(1 << 12, 1 << max(0, (most // _STEPS).bit_length()))
    pids = {process.pid for process in held}
    kinds = [Curve(label=label, sizes=_sizes(samples, pids, attrgetter(kind), unit)) for kind, label in KINDS.items()]
    return ChartData(
        seconds=[round(sample.seconds, 3) for sample in samples],
        total=[max(0, sample.unreclaimable) for sample in samples],
        exact=all(sample.exact for sample in samples),
        cache=[sample.cache for sample in samples] if any(s.cache is not None for s in samples) else None,
        unit=unit,
        kinds=[curve for curve in kinds if any(curve.sizes)],
        processes=_curves(samples, held, unit),
        peak=(round(profile.peaks.peak_seconds, 3), profile.peaks.peak_unreclaimable),
        available=profile.head.available,
        stages=_bands(profile),
    )


def _curves(samples: Sequence[MemorySample], held: Sequence[HeldProcess], unit: int) -> list[Curve]:
    growing = attrgetter("growing")
    curves = [
        Curve(label=f"{chart_label(p.name, _LABEL - 8)} {p.pid}", sizes=_sizes(samples, {p.pid}, growing, unit))
        for p in held[:MOST_CURVES]
    ]
    rest = {process.pid for process in held[MOST_CURVES:]}
    others = [Curve(label=f"{len(rest)} others", sizes=_sizes(samples, rest, growing, unit))] if rest else []
    return [*curves, *others]


def _sizes(
    samples: Sequence[MemorySample], pids: set[int], kind: Callable[[ProcessMemory], int], unit: int
) -> list[int]:
    """What some processes held together at each moment."""
    return [
        max(0, sum(kind(process) for process in sample.processes if process.pid in pids)) // unit for sample in samples
    ]


def _bands(profile: PeakProfile) -> list[dict[str, Any]]:
    """Give the longest stages, each in the first lane where it lies beside those before it."""
    last = max((sample.seconds for sample in profile.timeline), default=0.0)
    longest = sorted(profile.stages, key=lambda stage: _end(stage, last) - stage.begin, reverse=True)[:MOST_BANDS]
    free = [float("-inf")] * _LANES
    bands = []
    for stage in sorted(longest, key=lambda stage: (stage.begin, -_end(stage, last))):
        lane = next((number for number, end in enumerate(free) if end <= stage.begin), None)
        if lane is None:
            continue
        end = free[lane] = _end(stage, last)
        bands.append({"label": chart_label(stage.name), "begin": stage.begin, "end": end, "lane": lane})
    return bands


def _end(stage: StageBand, last: float) -> float:
    return max(stage.begin, last if stage.end is None else stage.end)


def most_within(stage: StageBand, timeline: Iterable[MemorySample]) -> int | None:
    """Give the most unreclaimable memory that a sample shows in a stage; None: none was taken in it."""
    end = float("inf") if stage.end is None else stage.end
    inside = [sample.unreclaimable for sample in timeline if stage.begin <= sample.seconds <= end]
    return max(inside, default=None)
