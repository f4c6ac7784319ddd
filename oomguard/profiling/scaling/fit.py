"""From the peaks of a program on growing parts of its input, the peak on all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIXES = (1 / 16, 1 / 8, 1 / 4)
_SLOWER = 0.9
_LEAST_BAND = 0.05
# A line through three sizes misses n * n by 8.6 % of its rise; lists and buffers, which grow by an eighth at a time,
# by 3 %. Two runs of the same program differ by the noise.
_CURVED = 0.06
_NOISE, _NOISE_PART = 2 * MIB, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRun:
    """One run. Units: bytes."""

    input_bytes: int
    peak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingForecast:
    """A straight line through the runs. Units: bytes."""

    at_end: int
    low: int
    high: int
    base: int
    per_byte: float
    runs: tuple[ScalingRun, ...]


def fit_line(runs: Sequence[ScalingRun], size: int) -> ScalingForecast | str:
    """Fit base + slope * size by least squares; a text says why there is no forecast.

    The band is the largest residual, carried out to `size` as the line's own error grows, and never under 5 %.
    Where growth slows down, as when buffers of a fixed size are full, the last two sizes say how it continues.
    What bends less than n * sqrt(n) looks straight from three sizes, and is not refused.
    """
    if len(runs) < len(PREFIXES):
        return f"{len(PREFIXES)} runs are needed, and {len(runs)} succeeded"
    if len({run.input_bytes for run in runs}) < len(PREFIXES):
        return "the input is too small: its parts are of the same size"
    xs, ys = [float(run.input_bytes) for run in runs], [float(run.peak) for run in runs]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread
    slope, base = (slope, middle_y - slope * middle_x) if slope > 0 else (0.0, max(ys))
    residual = max(abs(base + slope * x - y) for x, y in zip(xs, ys, strict=True))
    rise = slope * (max(xs) - min(xs))
    if residual > max(_CURVED * rise, _NOISE + max(ys) / _NOISE_PART):
        return "memory does not grow along a line with the input"
    slope, base = _flattened(runs) or (slope, base)
    at_end = base + slope * size
    reach = 1 + abs(size - middle_x) / (max(xs) - min(xs))
    band = max(residual * reach, _LEAST_BAND * at_end)
    return ScalingForecast(
        at_end=round(at_end),
        low=round(max(0.0, at_end - band)),
        high=round(at_end + band),
        base=round(base),
        per_byte=slope,
        runs=tuple(runs),
    )


def _flattened(runs: Sequence[ScalingRun]) -> tuple[float, float] | None:
    """The slope and base of the last two sizes, if memory grows slower between them than before."""
    first, middle, last = sorted(runs, key=lambda run: run.input_bytes)[-3:]
    if not first.input_bytes < middle.input_bytes < last.input_bytes:
        return None
    before = (middle.peak - first.peak) / (middle.input_bytes - first.input_bytes)
    slope = (last.peak - middle.peak) / (last.input_bytes - middle.input_bytes)
    if not 0 < slope < _SLOWER * before:
        return None
    return slope, last.peak - slope * last.input_bytes
