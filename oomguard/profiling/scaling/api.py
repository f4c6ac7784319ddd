"""`oomguard profile --scale-input FILE`: the command on growing parts of its input, and what all of it will need."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from oomguard.profiling.command import profile_command
from oomguard.profiling.options import Profiled, ProfileEvents, ProfileOptions
from oomguard.profiling.recording.events import ForecastMade
from oomguard.profiling.recording.file import append_event
from oomguard.profiling.scaling.arguments import check_can_take_a_part, with_part
from oomguard.profiling.scaling.fit import PREFIXES, ScalingRun, fit_line
from oomguard.profiling.scaling.prefix import check_can_be_cut, write_prefix
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence


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
