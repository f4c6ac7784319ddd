"""From how memory grew while a file was read, say what the end of the file will need."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_SAMPLES = 5
_LEAST_READ_FRACTION = 0.03
_MOST_RESIDUAL_FRACTION = 0.15  # of the rise: more is no straight line
ASSUMPTION = "if the file is read once, and memory keeps growing as it did"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSample:
    """One look at a job. Units: bytes."""

    position: int  # how far it is in its input
    unreclaimable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A straight line through the samples. Units: bytes."""

    at_end: int  # unreclaimable memory when the whole input was read
    base: int  # what it would hold without having read anything
    per_byte: float  # bytes of memory for each byte of input
    read_fraction: float  # how much of the input the line is drawn from
    residual: int  # the furthest that a sample lies off the line


def forecast_end(samples: Sequence[ReadSample], size: int) -> Forecast | None:
    """Draw the line of memory against the position in an input of `size` bytes, oldest sample first.

    None: not enough was read to say; the position went back (the file is read more than once); or the
    samples lie on no straight line. It is right only for a program that reads its input once, bit by bit:
    one that reads it whole, or twice, grows in ways its first samples do not show.
    """
    if len(samples) < _LEAST_SAMPLES or size <= 0:
        return None
    positions = [float(sample.position) for sample in samples]
    if any(after < before for before, after in itertools.pairwise(positions)):
        return None
    if positions[-1] - positions[0] < _LEAST_READ_FRACTION * size or len(set(positions)) < _LEAST_SAMPLES:
        return None
    memory = [float(sample.unreclaimable) for sample in samples]
    base, per_byte = _fit(positions, memory)
    residual = max(abs(base + per_byte * x - y) for x, y in zip(positions, memory, strict=True))
    rise = per_byte * (positions[-1] - positions[0])
    if rise <= 0 or residual > _MOST_RESIDUAL_FRACTION * rise:
        return None
    return Forecast(
        at_end=max(0, int(base + per_byte * size)),
        base=int(base),
        per_byte=per_byte,
        read_fraction=positions[-1] / size,
        residual=int(residual),
    )


def _fit(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Least squares: (value at x = 0, slope). Centred first, as positions are large numbers."""
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread
    return middle_y - slope * middle_x, slope
