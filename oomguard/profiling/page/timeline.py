"""The timeline of a profile as numbers for a chart: few, rounded, and with names that no chart takes for markup."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from oomguard.profiling.model import PeakProfile, StageBand
    from oomguard.supervision.growth.model import MemorySample, ProcessMemory

KINDS = ("anon", "shmem", "file", "swap")
MOST_MOMENTS = 1000
MOST_CURVES = 12  # processes with a curve of their own
MOST_BANDS = 60
_LANES = 4  # rows of stages, which may lie within each other or run side by side
_STEPS = 1 << 16  # a curve of one process or kind is drawn in this many steps
_LABEL = 28
# plotly draws some markup and links in every text, and which of its paths decode &lt; differs between versions.
_LOOKALIKES = str.maketrans({"<": "\u2039", ">": "\u203a", "&": "\uff06"})


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
    """Make a name fit for a chart: printable, short, and without a character that starts markup."""
    shown = printable(text).translate(_LOOKALIKES)
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


def chart_data(profile: PeakProfile) -> dict[str, Any]:
    """Give what the page's script draws. Units: seconds; bytes, of a process or a kind in `unit` bytes."""
    samples = thinned(profile.timeline)
    held = held_processes(profile)
    most = max((process.most + process.most_file for process in held), default=0)
    unit = max(1 << 12, 1 << max(0, (most // _STEPS).bit_length()))
    return {
        "seconds": [round(sample.seconds, 3) for sample in samples],
        "total": [max(0, sample.unreclaimable) for sample in samples],
        "exact": all(sample.exact for sample in samples),
        "cache": [sample.cache for sample in samples] if any(s.cache is not None for s in samples) else None,
        "unit": unit,
        "processes": _curves(samples, held, unit),
        "peak": [round(profile.peaks.peak_seconds, 3), profile.peaks.peak_unreclaimable],
        "available": profile.head.available,
        "stages": _bands(profile),
    }


def _curves(samples: Sequence[MemorySample], held: Sequence[HeldProcess], unit: int) -> list[dict[str, Any]]:
    own = held[:MOST_CURVES]
    curves = [{"label": f"{chart_label(p.name, _LABEL - 8)} {p.pid}", **_kinds(samples, {p.pid}, unit)} for p in own]
    rest = {process.pid for process in held[MOST_CURVES:]}
    return [*curves, {"label": f"{len(rest)} others", **_kinds(samples, rest, unit)}] if rest else curves


def _kinds(samples: Sequence[MemorySample], pids: set[int], unit: int) -> dict[str, list[int]]:
    """Give the curves of some processes together, one for each kind of memory that they have."""
    rows = [[process for process in sample.processes if process.pid in pids] for sample in samples]
    curves = {kind: [max(0, sum(map(attrgetter(kind), row))) // unit for row in rows] for kind in KINDS}
    return {kind: curve for kind, curve in curves.items() if any(curve)}


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
