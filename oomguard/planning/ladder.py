"""From the peaks of a program on growing beginnings of its input, the peak on all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIXES = (1 / 16, 1 / 8, 1 / 4)
_LEAST_BAND = 0.05
_CURVED = 0.25  # of the largest peak: a line that misses by more is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One run. Units: bytes."""

    input_bytes: int
    peak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderForecast:
    """A straight line through the rungs. Units: bytes."""

    at_end: int
    low: int
    high: int
    base: int
    per_byte: float
    rungs: tuple[Rung, ...]


def climb(rungs: Sequence[Rung], size: int) -> LadderForecast | str:
    """Fit base + slope * size by least squares; a text says why there is no forecast.

    The band is the largest residual, carried out to `size` as the line's own error grows, and never under 5 %.
    """
    if len({rung.input_bytes for rung in rungs}) < 3:
        return f"three sizes are needed, and {len(rungs)} ran to the end"
    xs, ys = [float(rung.input_bytes) for rung in rungs], [float(rung.peak) for rung in rungs]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread
    base = middle_y - slope * middle_x
    residual = max(abs(base + slope * x - y) for x, y in zip(xs, ys, strict=True))
    if residual > _CURVED * max(ys):
        return "memory does not grow along a line with the input"
    slope, base = (slope, base) if slope > 0 else (0.0, max(ys))
    at_end = base + slope * size
    reach = 1 + abs(size - middle_x) / (max(xs) - min(xs))
    band = max(residual * reach, _LEAST_BAND * at_end)
    return LadderForecast(
        at_end=round(at_end),
        low=round(max(0.0, at_end - band)),
        high=round(at_end + band),
        base=round(base),
        per_byte=slope,
        rungs=tuple(rungs),
    )
