"""`oomguard profile --ladder FILE`: the command on growing beginnings of its input, and what all of it will need."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from oomguard.errors import BadInput
from oomguard.profiling.api import Profiled, ProfileEvents, ProfileOptions, profile_command
from oomguard.profiling.recording.events import ForecastMade
from oomguard.profiling.recording.file import append_event
from oomguard.profiling.scaling.bind_mount import why_not_in_place, with_part_in_place
from oomguard.profiling.scaling.fit import PREFIXES, Rung, climb
from oomguard.profiling.scaling.prefix import check_can_be_cut, write_prefix
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence


class LadderEvents(ProfileEvents, Protocol):
    """What happens before there is a profile."""

    def climbs(self, number: int, input_bytes: int) -> None:
        """The command begins on so much of the input."""


def profile_ladder(options: ProfileOptions, input_file: Path, events: LadderEvents) -> Profiled:
    """Profile `options.command` on 1/16, 1/8 and 1/4 of `input_file`; the profile of the last run has the forecast.

    Where the file is an argument of the command, a part of it stands there: of the same name, in another folder.
    Else the part is mounted over the file, for the command alone.
    A run that fails ends the ladder, without a forecast.
    Raises: BadInput if the file is no text, or cannot be put in its place; what profile_command() does.
    """
    size = check_can_be_cut(input_file)
    named = bool(_places(options.command, input_file))
    if not named and (why := why_not_in_place(str(input_file.resolve()))):
        raise BadInput(
            f"{printable(str(input_file))} is no argument of the command, and cannot be put in its place here: {why}",
            do=f"let it take the file from its command line: -- {options.command[0]} ... FILE; or run this as root",
        )
    rungs: list[Rung] = []
    done: Profiled | None = None
    with tempfile.TemporaryDirectory(prefix="oomguard-ladder-") as folder:
        part = Path(folder, input_file.name)
        for number, fraction in enumerate(PREFIXES, 1):
            cut = write_prefix(input_file, int(size * fraction), part)
            events.climbs(number, cut)
            if named:
                command, shown = (_with_part(words, input_file, part) for words in (options.command, options.shown))
            else:
                command = with_part_in_place(options.command, str(input_file.resolve()), str(part))
                shown = options.shown or options.command
            done = profile_command(replace(options, command=command, shown=shown), events)
            if done.exit_code != 0 or (done.profile.end is not None and done.profile.end.stopped):
                break
            rungs.append(Rung(input_bytes=cut, peak=done.profile.peaks.peak_unreclaimable))
    assert done is not None
    return _with_forecast(done, rungs, input_file, size)


def _with_forecast(done: Profiled, rungs: Sequence[Rung], input_file: Path, size: int) -> Profiled:
    found = climb(rungs, size)
    made = ForecastMade(
        seconds=done.profile.end.seconds if done.profile.end is not None else 0.0,
        input=str(input_file),
        input_bytes=size,
        read_bytes=rungs[-1].input_bytes if rungs else 0,
        method="ladder",
    )
    if isinstance(found, str):
        made = replace(made, why_not=found)
    else:
        band = found.high - found.at_end
        made = replace(made, at_end=found.at_end, base=found.base, per_byte=found.per_byte, band=band)
    name = printable(input_file.name)
    notes = tuple(f"with {format_size(rung.input_bytes)} of {name}: {format_size(rung.peak)}" for rung in rungs)
    if notes:
        notes = (*notes[:-1], f"{notes[-1]}; this is the run that the profile shows")
    append_event(done.recording, made)
    for note in notes:
        append_event(done.recording, note)
    return replace(done, profile=replace(done.profile, forecast=made, notes=(*done.profile.notes, *notes)))


def _places(command: Sequence[str], input_file: Path) -> list[int]:
    """Which words of the command name the file, alone or as --flag=FILE."""
    return [number for number, word in enumerate(command) if number and _is_file(word.rpartition("=")[2], input_file)]


def _is_file(word: str, input_file: Path) -> bool:
    try:
        return bool(word) and Path(word).resolve() == input_file.resolve()
    except (OSError, ValueError):
        return False


def _with_part(command: Sequence[str], input_file: Path, part: Path) -> tuple[str, ...]:
    places = set(_places(command, input_file))
    return tuple(
        "".join((*word.rpartition("=")[:2], str(part))) if number in places else word
        for number, word in enumerate(command)
    )
