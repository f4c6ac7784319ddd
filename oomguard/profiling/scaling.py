"""`oomguard profile --scale-input FILE`: the command on growing parts of its input, and what all of it will need."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from oomguard.profiling.command import profile_command
from oomguard.profiling.input_parts import check_can_be_cut, check_can_take_a_part, with_part, write_prefix
from oomguard.profiling.options import Profiled, ProfileEvents, ProfileOptions
from oomguard.profiling.recording import append_event
from oomguard.profiling.recording_lines import ForecastMade
from oomguard.supervision.growth.forecast import least_squares
from oomguard.units import MIB, format_size

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
    base, slope = least_squares(xs, ys)
    slope, base = (slope, base) if slope > 0 else (0.0, max(ys))
    residual = max(abs(base + slope * x - y) for x, y in zip(xs, ys, strict=True))
    rise = slope * (max(xs) - min(xs))
    if residual > max(_CURVED * rise, _NOISE + max(ys) / _NOISE_PART):
        return "memory does not grow in a straight line with the input"
    slope, base = _flattened(runs) or (slope, base)
    at_end = base + slope * size
    reach = 1 + abs(size - sum(xs) / len(xs)) / (max(xs) - min(xs))
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


class ScalingEvents(ProfileEvents, Protocol):
    """What happens before there is a profile."""

    def run_begins(self, number: int, input_bytes: int) -> None:
        """The command begins on so much of the input."""


def profile_scaling(options: ProfileOptions, input_file: Path, events: ScalingEvents) -> Profiled:
    """Profile `options.command` on 1/16, 1/8 and 1/4 of `input_file`; the profile of the last run has the forecast.

    The command writes its outputs each time, as always. A run that fails ends this, without a forecast.
    Raises: BadInput if the file is not text, or the command cannot be given a part; what profile_command() does.
    """
    size = check_can_be_cut(input_file)
    check_can_take_a_part(options, input_file)
    runs: list[ScalingRun] = []
    done: Profiled | None = None
    with tempfile.TemporaryDirectory(prefix="oomguard-scaling-") as folder:
        part = Path(folder, input_file.name)
        for number, fraction in enumerate(PREFIXES, 1):
            cut = write_prefix(input_file, int(size * fraction), part)
            events.run_begins(number, cut)
            command, shown = with_part(options, input_file, part)
            done = profile_command(replace(options, command=command, shown=shown), events)
            if done.exit_code != 0 or (done.profile.end is not None and done.profile.end.stopped):
                break
            runs.append(ScalingRun(input_bytes=cut, peak=done.profile.peaks.peak_unreclaimable))
    assert done is not None
    return _with_forecast(done, runs, input_file, size)


def _with_forecast(done: Profiled, runs: Sequence[ScalingRun], input_file: Path, size: int) -> Profiled:
    found = fit_line(runs, size)
    made = ForecastMade(
        seconds=done.profile.end.seconds if done.profile.end is not None else 0.0,
        input=str(input_file),
        input_bytes=size,
        read_bytes=runs[-1].input_bytes if runs else 0,
        method="ladder",
    )
    if isinstance(found, str):
        made = replace(made, why_not=found)
    else:
        band = found.high - found.at_end
        made = replace(made, at_end=found.at_end, base=found.base, per_byte=found.per_byte, band=band)
    name = input_file.name
    notes = tuple(f"with {format_size(run.input_bytes)} of {name}: {format_size(run.peak)}" for run in runs)
    if notes:
        notes = (*notes[:-1], f"{notes[-1]}; this is the run that the profile shows")
    append_event(done.recording, made)
    for note in notes:
        append_event(done.recording, note)
    return replace(done, profile=replace(done.profile, forecast=made, notes=(*done.profile.notes, *notes)))
