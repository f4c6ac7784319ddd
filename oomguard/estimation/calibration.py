"""From three short runs on a part of the input, each four times the one before, to the time of the whole run.

The peak needs no run: it is the sum of a run's parts, which does not depend on the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.engines.memory_sum import BudgetPlan

STEP = 4  # each run takes so many times the text of the one before
_SURE_TIME = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRun:
    """A run on a part of the input. Units: bytes."""

    text_bytes: int
    peak: int
    seconds: float  # of the whole command


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForecast:
    """The whole run. Units: bytes, seconds."""

    peak: int
    peak_low: int
    peak_high: int
    seconds: float
    seconds_low: float
    seconds_high: float
    bytes_per_second: float  # once it runs
    start_seconds: float


def choose_sizes(text_bytes: int, *, bytes_per_second: float, seconds: float) -> list[int]:
    """Give the text of three runs, of which the last takes about `seconds`, and never more than half of the input."""
    largest = int(min(text_bytes / 2, bytes_per_second * seconds))
    return [max(1, largest // STEP**power) for power in (2, 1, 0)]


def combine_runs(runs: Sequence[ShortRun]) -> ShortRun:
    """Make one of several runs on the same part: the means."""
    return ShortRun(
        text_bytes=runs[0].text_bytes,
        peak=round(mean(run.peak for run in runs)),
        seconds=mean(run.seconds for run in runs),
    )


def forecast_run(runs: Sequence[ShortRun], *, text_bytes: int, plan: BudgetPlan) -> RunForecast:
    """Extrapolate the time of three runs, the shortest first, to all of the text; the peak is the plan's sum.

    Raises: ValueError for another number of runs (a caller's bug).
    """
    if len(runs) != 3:
        raise ValueError(f"three runs are needed, got {len(runs)}")
    large = runs[-1]
    rate = _rate(runs)
    start = max(0.0, large.seconds - large.text_bytes / rate)
    seconds = max(large.seconds, start + text_bytes / rate)
    return RunForecast(
        peak=plan.sum,
        peak_low=min(plan.sum, max(run.peak for run in runs)),
        peak_high=plan.sum,
        seconds=round(seconds, 2),
        seconds_low=round(seconds * (1 - _SURE_TIME), 2),
        seconds_high=round(seconds * (1 + _SURE_TIME), 2),
        bytes_per_second=round(rate),
        start_seconds=round(start, 2),
    )


def _rate(runs: Sequence[ShortRun]) -> float:
    """Bytes of text a second between the shorter runs and the longest, which share the time that starting takes."""
    _, middle, large = runs
    seconds, text = large.seconds - middle.seconds, large.text_bytes - middle.text_bytes
    if seconds <= 0 or text <= 0:  # disturbed, or parts of hardly different size
        return large.text_bytes / large.seconds
    return text / seconds
