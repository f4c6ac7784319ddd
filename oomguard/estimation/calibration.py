"""From three short runs on a part of the input, each four times the one before, to the whole run.

The peak is what the tokenizers hold, which follows from how one of them was seen to grow and from the rules by which
processes are exchanged, and all else, which is the same in a short run: its peak less what its own tokenizers held.

Where no growth was seen (a small input, a tokenizer without a table), what each run added to the one before is
continued as a geometric series: without a limit it follows the vocabulary (Heaps' law: 2.3 times more for 4 times the
text), near its limit each step adds less than the one before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import mul
from statistics import mean
from typing import TYPE_CHECKING

from oomguard.estimation.peak_simulation import simulate_peak

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.estimation.peak_simulation import Held
    from oomguard.estimation.tokenizer_growth import TokenizerGrowth
    from oomguard.preparation.engines.memory_budget import BudgetPlan

STEP = 4  # each run takes so many times the text of the one before
_FASTEST = STEP**0.6  # how much more than the step before a step may add
_NOISE = 0.05  # of a peak: two runs of the same job differ by so much, and so does a step
_USUAL_STEP = 0.8  # of the step before, where the steps tell nothing: a cache near its limit
_UNSURE = 0.1  # of a peak that was played through
_UNEVEN = 0.2  # of the text: encoders do not get equal shares of it
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


def forecast_run(
    runs: Sequence[ShortRun], *, text_bytes: int, plan: BudgetPlan, growth: TokenizerGrowth | None = None
) -> RunForecast:
    """Extrapolate three runs, the shortest first, to all of the text; no peak can pass the budget.

    `growth` is that of one tokenizer on this text; None: it showed nothing.
    Raises: ValueError for another number of runs (a caller's bug).
    """
    if len(runs) != 3:
        raise ValueError(f"three runs are needed, got {len(runs)}")
    large = runs[-1]
    peak, unsure = _series_peak(runs, text_bytes) if growth is None else _played_peak(runs, text_bytes, plan, growth)
    peak = min(plan.budget, peak)
    rate = _rate(runs)
    start = max(0.0, large.seconds - large.text_bytes / rate)
    seconds = max(large.seconds, start + text_bytes / rate)
    return RunForecast(
        peak=round(peak),
        peak_low=round(max(0, peak - unsure)),
        peak_high=round(min(plan.budget, peak + unsure)),
        seconds=round(seconds, 2),
        seconds_low=round(seconds * (1 - _SURE_TIME), 2),
        seconds_high=round(seconds * (1 + _SURE_TIME), 2),
        bytes_per_second=round(rate),
        start_seconds=round(start, 2),
    )


def _played_peak(
    runs: Sequence[ShortRun], text_bytes: int, plan: BudgetPlan, growth: TokenizerGrowth
) -> tuple[float, float]:
    """The peak, and how far off it may be."""
    _, *longer = runs  # the first is over before all that it shares has been touched
    rests, weights = zip(*(_rest(run, plan, growth) for run in longer), strict=True)
    peak = math.fsum(map(mul, rests, weights)) / math.fsum(weights)
    peak += simulate_peak(growth, plan, text_bytes=text_bytes).moment
    return peak, _UNSURE * peak


def _rest(run: ShortRun, plan: BudgetPlan, growth: TokenizerGrowth) -> tuple[float, float]:
    """What a run took beside its tokenizers, and the weight of that.

    Where processes are about to be exchanged, a little more or less text makes a large difference: such a run tells
    little.
    """
    less, more = (
        _seen(simulate_peak(growth, plan, text_bytes=round(run.text_bytes * around)))
        for around in (1 - _UNEVEN, 1 + _UNEVEN)
    )
    seen = _seen(simulate_peak(growth, plan, text_bytes=run.text_bytes))
    return run.peak - seen, 1 / (1 + _NOISE * run.peak + more - less)


def _seen(held: Held) -> float:
    """What a short run is likely to have seen of its peak: it meets few of the moments, a long one many."""
    return (held.lasting + held.moment) / 2


def _series_peak(runs: Sequence[ShortRun], text_bytes: int) -> tuple[float, float]:
    small, middle, large = runs
    steps = max(0.0, math.log(max(1.0, text_bytes / large.text_bytes), STEP))
    grown = _series(middle.peak - small.peak, large.peak - middle.peak, steps, noise=_NOISE * large.peak)
    peak = large.peak + grown
    return peak, _NOISE * peak + grown / 2


def _series(before: float, last: float, steps: float, *, noise: float) -> float:
    """What `steps` more steps add, when the last two added so much; steps as small as the noise tell little."""
    if last <= 0:
        return 0.0
    ratio = min(_FASTEST, (last + _USUAL_STEP * noise) / (max(0.0, before) + noise))
    if abs(ratio - 1) < 1e-6:
        return last * steps
    return float(last * ratio * (ratio**steps - 1) / (ratio - 1))


def _rate(runs: Sequence[ShortRun]) -> float:
    """Bytes of text a second between the shorter runs and the longest, which share the time that starting takes."""
    _, middle, large = runs
    seconds, text = large.seconds - middle.seconds, large.text_bytes - middle.text_bytes
    if seconds <= 0 or text <= 0:  # disturbed, or parts of hardly different size
        return large.text_bytes / large.seconds
    return text / seconds
