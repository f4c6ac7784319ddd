"""The charts of a profile as SVG that is as wide as the page: curves stretch, and texts keep their size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.formats.page import safe
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.profiling.page.timeline import ChartData

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_TIMES = ((10_800, 3600, "h"), (300, 60, "min"), (0, 1, "s"))
_WIDE, _HIGH = 4000, 1000  # the grid that curves are drawn on, whatever size it is stretched to
_PLOT, _LANE, _BELOW, _ABOVE = 280, 20, 24, 22  # pixels
_NEAR = 1.6  # what was available is drawn when it is no higher than so many times the curve


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where things are on a chart: seconds and bytes to places."""

    data: ChartData
    top: float  # bytes
    above: int  # pixels, of the stages

    def x(self, seconds: float) -> float:
        """From 0 to 1."""
        first, last = self.data.seconds[0], self.data.seconds[-1]
        return min(1.0, max(0.0, (seconds - first) / (last - first))) if last > first else 0.0

    def y(self, size: float) -> float:
        """Pixels from above."""
        return self.above + _PLOT * (1 - min(1.0, max(0.0, size / self.top)))

    @property
    def height(self) -> int:
        """Pixels in all."""
        return self.above + _PLOT + _BELOW


def nice_step(whole: float, most: int) -> float:
    """Give a step of 1, 2 or 5 times a power of ten, of which at most `most` go into `whole`."""
    if not 0 < whole < math.inf:
        return 1.0
    power = 10.0 ** math.floor(math.log10(whole / most))
    return next((step * power for step in (1, 2, 5) if whole / (step * power) <= most), 10 * power)


def size_ticks(top: float, most: int = 6) -> list[tuple[float, str]]:
    """Give the places of an axis up to `top`, with labels in the one unit that fits the axis."""
    power = min(len(_UNITS) - 1, max(0, int(math.log2(max(1.0, top)) // 10)))
    step = nice_step(top / 1024**power, most)
    count = int(top / 1024**power / step)
    return [(n * step * 1024**power, f"{n * step:g} {_UNITS[power]}") for n in range(count + 1)]


def time_ticks(first: float, last: float, most: int = 6) -> list[tuple[float, str]]:
    """Give the places of the axis of time, in seconds, minutes or hours."""
    scale, unit = next((scale, unit) for least, scale, unit in _TIMES if last - first >= least or not least)
    step = nice_step((last - first) / scale, most)
    begin = math.ceil(first / scale / step)
    count = int((last - first) / scale / step) + 1
    ticks = [(number * step * scale, f"{number * step:g} {unit}") for number in range(begin, begin + count)]
    return [tick for tick in ticks if tick[0] <= last]


def views(data: ChartData) -> Iterator[tuple[str, str, str, list[tuple[str, str]]]]:
    """Draw each view: its name, its title, the SVG, and the legend of (class, label)."""
    total, cache = [float(size) for size in data.total], [float(size or 0) for size in data.cache or []]
    highest = max([*total, *cache, float(data.peak[1]), 1.0])
    legend = [("unreclaimable", "unreclaimable, each page once"), *([("cache", "page cache")] if cache else [])]
    frame = _frame(data, highest)
    curves = f"{_under(frame, total)}{_line(frame, cache, 'cache') if cache else ''}{_line(frame, total, '')}"
    yield "total", "Total", _chart(frame, curves, "unreclaimable memory over time"), legend
    if data.available > _NEAR * highest:
        far = _Frame(data, 1.05 * data.available, frame.above)
        curves = f"{_under(far, total)}{_line(far, total, '')}"
        yield (
            "whole",
            "Compared with what was available",
            _chart(far, curves, "memory compared with what was available"),
            legend[:1],
        )
    for name, title, parts in (("kinds", "By kind", data.kinds), ("processes", "By process", data.processes)):
        if parts:
            sizes = [[float(size * data.unit) for size in curve.sizes] for curve in parts]
            frame = _frame(data, max(highest, *map(sum, zip(*sizes, strict=True))))
            curves = f"{''.join(_stacked(frame, sizes))}{_line(frame, total, 'total')}"
            named = [(f"c{number}", curve.label) for number, curve in enumerate(parts)]
            label = f"memory over time, {title.lower()}, one above the other"
            yield name, title, _chart(frame, curves, label), [*named, ("total", "unreclaimable")]


def _frame(data: ChartData, highest: float) -> _Frame:
    lanes = 1 + max((stage["lane"] for stage in data.stages), default=-1)
    top = 1.08 * max(highest, float(data.available) if data.available <= _NEAR * highest else 0.0)
    return _Frame(data, top, _ABOVE + _LANE * lanes)


def _chart(frame: _Frame, curves: str, label: str) -> str:
    area = (
        f'<svg y="{frame.above}" width="100%" height="{_PLOT}" viewBox="0 0 {_WIDE} {_HIGH}" '
        f'preserveAspectRatio="none">{curves}</svg>'
    )
    bottom = frame.above + _PLOT
    cursor = f'<line class="cursor" y1="{frame.above}" y2="{bottom}" visibility="hidden"/>'
    return (
        f'<svg class="chart" height="{frame.height}" role="img" aria-label="{label}">{_axes(frame)}{area}'
        f"{_stages(frame)}{_available(frame)}{_peak(frame)}{_tick_labels(frame)}{cursor}</svg>"
    )


def _axes(frame: _Frame) -> str:
    lines = [
        f'<line class="{"grid-line" if size else "axis"}" x2="100%" y1="{frame.y(size):.1f}" y2="{frame.y(size):.1f}"/>'
        for size, _ in size_ticks(frame.top)
    ]
    return "".join(lines)


def _tick_labels(frame: _Frame) -> str:
    """Of sizes within the plot, above their lines; of times below it."""
    sizes = [
        f'<text class="tick" x="2" y="{frame.y(size) - 3:.1f}">{label}</text>'
        for size, label in size_ticks(frame.top)[1:]
    ]
    times = []
    for seconds, label in time_ticks(frame.data.seconds[0], frame.data.seconds[-1]):
        place = frame.x(seconds)
        anchor = "start" if place < 0.03 else "end" if place > 0.97 else "middle"
        times.append(f'<text class="tick" x="{place:.2%}" y="{frame.height - 6}" text-anchor="{anchor}">{label}</text>')
    return "".join([*sizes, *times])


def _available(frame: _Frame) -> str:
    size = frame.data.available
    if size > frame.top:
        return ""
    y = frame.y(size)
    return (
        f'<line class="available" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="label available" x="100%" y="{y - 4:.1f}" text-anchor="end">available {format_size(size)}</text>'
    )


def _peak(frame: _Frame) -> str:
    seconds, size = frame.data.peak
    x, y = frame.x(seconds), frame.y(size)
    anchor, gap = ("end", -8) if x > 0.5 else ("start", 8)
    return (
        f'<circle class="mark" cx="{x:.2%}" cy="{y:.1f}" r="4.5"/>'
        f'<text class="label bad" x="{x:.2%}" dx="{gap}" y="{max(12.0, y - 6):.1f}" text-anchor="{anchor}">'
        f"peak {format_size(size)}</text>"
    )


def _stages(frame: _Frame) -> str:
    """Bars above the curves, in lanes: those within another one lie above it."""
    drawn = []
    for number, stage in enumerate(frame.data.stages):
        left, right = frame.x(stage["begin"]), frame.x(stage["end"])
        y = frame.above - _LANE * (stage["lane"] + 1)
        label = safe(stage["label"])
        drawn.append(
            f'<svg class="stage s{number % 2}" x="{left:.2%}" y="{y}" width="{max(0.002, right - left):.2%}" '
            f'height="{_LANE - 2}"><title>{label}</title><rect width="100%" height="100%"/>'
            f'<text x="4" y="13">{label}</text></svg>'
        )
    return "".join(drawn)


def _points(frame: _Frame, sizes: Sequence[float]) -> list[tuple[int, int]]:
    return [
        (round(_WIDE * frame.x(seconds)), round(_HIGH * (1 - min(1.0, max(0.0, size / frame.top)))))
        for seconds, size in zip(frame.data.seconds, sizes, strict=True)
    ]


def _path(points: Sequence[tuple[int, int]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points)


def _line(frame: _Frame, sizes: Sequence[float], kind: str) -> str:
    return f'<path class="curve {kind}" d="{_path(_points(frame, sizes))}"/>'


def _under(frame: _Frame, sizes: Sequence[float]) -> str:
    points = _points(frame, sizes)
    return f'<path class="under" d="{_path([(points[0][0], _HIGH), *points, (points[-1][0], _HIGH)])}Z"/>'


def _stacked(frame: _Frame, curves: Sequence[Sequence[float]]) -> Iterator[str]:
    """Each curve as a band above those before it."""
    below = [0.0] * len(frame.data.seconds)
    for number, sizes in enumerate(curves):
        above = [low + size for low, size in zip(below, sizes, strict=True)]
        edge = [*_points(frame, above), *reversed(_points(frame, below))]
        yield f'<path class="c{number}" d="{_path(edge)}Z"/>'
        below = above
