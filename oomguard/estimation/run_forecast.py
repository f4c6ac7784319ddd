"""What short runs say of the whole run, and how long they are to be. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP = 8  # the longer run takes so many times the text of the shorter
_USUAL_TEXT = 200_000_000  # up to here, planning is to take no more than three seconds, and all is tried
_WHOLE_SECONDS = 1.0  # where that is no more of encoding, as far as it was seen; starting takes half a second more
_SECONDS, _SECONDS_OF_LARGE = 0.7, 1.5
_MOST_TEXT = 256 * MIB
_SHARED = 1.3  # times as long as with the CPUs to itself: from here on the times are less certain,
_UNSURE_BESIDE, _MOST_SHARED = (
    0.15,
    6.0,
)  # by so much more for each time more: others change what a CPU does in a second
_SURE_PEAK = 0.149
# Parquet: the parts mix rows of all lengths and have few pages, so that the whole has larger ones, and more at a time.
_PEAK_OF_ROWS, _SURE_PEAK_OF_ROWS = 1.15, 0.44
_LONG_DOCUMENT = 2 * MIB  # the parts may well be without such a one
_SURE_TIME = 0.299
_WARM = 4.0  # a run encodes at most so many times as fast as the sample, whose words are new to the encoder
_NOISE_SECONDS = 0.056  # the standard deviation of runs on the same text
_SURE = 2.0  # standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRun:
    """A run on a part of the input, or on all of it. Units: bytes."""

    text_bytes: int
    peak: int
    seconds: float  # of the whole command, with the CPUs to itself
    wall_seconds: float = 0.0  # that it took beside what else ran; 0: the same
    tokens: int = 0  # with end-of-text
    documents: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForecast:
    """The whole run. Units: bytes, seconds."""

    peak: int
    peak_low: int
    peak_high: int
    seconds: float  # with the CPUs to itself, as are its bounds
    seconds_low: float
    seconds_high: float
    seconds_beside_others: float  # with what other programs took of the CPUs while it was tried
    bytes_per_second: float  # once it runs
    start_seconds: float
    tried_whole: bool  # the whole input was run, so that peak and time are of that run


def choose_parts(text_bytes: int, *, bytes_per_second: float) -> list[int]:
    """Give the text of the runs: one with all of it where that is quick, else a short and a longer one."""
    if text_bytes <= min(_USUAL_TEXT, bytes_per_second * _WHOLE_SECONDS):
        return [text_bytes]
    seconds = _SECONDS if text_bytes <= _USUAL_TEXT else _SECONDS_OF_LARGE
    longer = int(min(text_bytes / 2, bytes_per_second * seconds, _MOST_TEXT))
    return [max(1, longer // STEP), max(1, longer)]


def choose_turns(text_bytes: int, tried: Sequence[ShortRun] = ()) -> int:
    """How often each part is run: a machine's speed drifts by a third from minute to minute.

    Beside other programs the times are less certain: once more, then.
    """
    if text_bytes > _USUAL_TEXT:
        return 3
    return 2 if any(run.wall_seconds > _SHARED * run.seconds for run in tried) else 1


def forecast_run(
    parts: Sequence[Sequence[ShortRun]],
    *,
    text_bytes: int,
    is_whole: bool,
    longest_document: int = 0,
    budget: int = 0,
    rows_differ: bool = False,
    beginnings_only: bool = False,
    encoded_a_second: float = 0.0,
) -> RunForecast:
    """Extrapolate the runs on each part, the shortest first, to all of the text.

    The peak of a run does not grow with its input (docs/memory.md), so that of the parts is that of the whole; but
    with a line or row that is longer than what the parts have, of which no more is sure than that the budget holds.
    Where `beginnings_only` of files of lines could be looked at, there may be one. No run is much faster than
    `encoded_a_second`, bytes of text in the sample: where the parts say that, they were disturbed.
    Raises: ValueError without a run (a caller's bug).
    """
    if not parts or not all(parts):
        raise ValueError("no run was made")
    most = max(run.peak for part in parts for run in part)
    peak, peak_high = most, most * (1 + _SURE_PEAK)
    if rows_differ and not is_whole:
        peak, peak_high = round(most * _PEAK_OF_ROWS), most * (1 + _SURE_PEAK_OF_ROWS)
    if not is_whole and (beginnings_only or longest_document > _LONG_DOCUMENT):
        peak_high = max(peak_high, budget)
    longest = _mean_seconds(parts[-1])
    text = parts[-1][0].text_bytes
    spread = max(max(run.seconds for run in part) - min(run.seconds for run in part) for part in parts)
    rate, seconds = text / longest, longest
    if not is_whole:
        rate = _rate(parts[0], parts[-1], encoded_a_second)
        seconds = longest + max(0, text_bytes - text) / rate
    stretched = max(1.0, seconds / longest)
    longer = max(1.0, mean(run.wall_seconds or run.seconds for run in parts[-1]) / longest)
    shared = 1 + _UNSURE_BESIDE * max(0.0, min(longer, _MOST_SHARED) - _SHARED)
    times = 0.0 if is_whole else (text_bytes - text) / max(1, text - parts[0][0].text_bytes)
    noise = _NOISE_SECONDS * _difference_counts(max(0.0, times), turns=len(parts[-1]))
    sure = min(0.9, max(_SURE_TIME * shared, max(_SURE * noise, spread * stretched) / seconds))
    return RunForecast(
        peak=peak,
        peak_low=round(most * (1 - _SURE_PEAK)),
        peak_high=round(peak_high),
        seconds=round(seconds, 2),
        seconds_low=round(seconds * (1 - sure), 2),
        seconds_high=round(seconds * (1 + sure), 2),
        seconds_beside_others=round(seconds * longer, 2),
        bytes_per_second=round(rate),
        start_seconds=round(max(0.0, longest - text / rate), 2),
        tried_whole=is_whole,
    )


def _mean_seconds(runs: Sequence[ShortRun]) -> float:
    """The run that follows is no more likely to be lucky than these."""
    return mean(run.seconds for run in runs)


def _difference_counts(times: float, *, turns: int) -> float:
    """Give the standard deviation of the whole run's forecast from that run, where that of each run is 1.

    It is the longer run and so many `times` what it took more than the shorter, each run in so many turns.
    """
    return math.sqrt(((1 + times) ** 2 + times**2) / turns + 1)


def _rate(shorter: Sequence[ShortRun], longer: Sequence[ShortRun], encoded_a_second: float) -> float:
    """Bytes of text a second between the runs, which share the time that starting takes."""
    seconds = _mean_seconds(longer) - _mean_seconds(shorter)
    text = longer[0].text_bytes - shorter[0].text_bytes
    if encoded_a_second and text > seconds * encoded_a_second * _WARM:
        return encoded_a_second
    if seconds <= 0 or text <= 0:  # disturbed, or parts of hardly different size
        return longer[0].text_bytes / _mean_seconds(longer)
    return text / seconds
