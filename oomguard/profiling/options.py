"""What is asked of a profile, how its recording begins and where it goes; and what is given back."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from oomguard.kernel.machine import read_headroom, usable_cpus
from oomguard.kernel.model import LEAST_BUDGET
from oomguard.profiling.recording_lines import RecordingHead
from oomguard.profiling.rules.rebuild import build_profile
from oomguard.supervision.options import RunOptions
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.profiling.model import PeakProfile
    from oomguard.profiling.recording_lines import Event
    from oomguard.supervision.options import Choice

_SAMPLES_OF_PROC = "samples of /proc"
_RESERVE, _RESERVE_PART = 48 * MIB, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """How to profile a command."""

    command: tuple[str, ...]
    shown: tuple[str, ...] = ()  # the command as people know it; the same, if it is empty
    recording: Path | None = None  # None: a file in the current folder, or in that for temporary files
    enforce: Choice = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """A profile, and where its recording is."""

    profile: PeakProfile
    recording: Path
    exit_code: int


def profile_of(events: Iterable[Event], recording: Path, exit_code: int) -> Profiled:
    """The profile of what was seen, which is in the recording as well."""
    return Profiled(profile=build_profile(events), recording=recording, exit_code=exit_code)


class ProfileEvents(Protocol):
    """What happens before there is a profile."""

    def begins(self, recording: Path, tier: str) -> None:
        """It is being recorded."""


def profiled_run(command: tuple[str, ...], enforce: Choice, available: int) -> RunOptions:
    """Give the options of a run that may use what is available but for a reserve: the profiler has to live as well."""
    most = max(LEAST_BUDGET, available - max(_RESERVE, available // _RESERVE_PART))
    return RunOptions(command=command, max_rss=most, enforce=enforce, swap_max=None)


def new_head(command: tuple[str, ...]) -> RecordingHead:
    """Begin a recording of `command` now, by samples of /proc; reads what is available."""
    room = read_headroom()
    return RecordingHead(
        command=command,
        folder=str(Path.cwd()),
        began=time.time(),
        tier=_SAMPLES_OF_PROC,
        exact_mark=False,
        available=room.available,
        limited_by=room.limited_by,
        cpus=usable_cpus(),
        host=os.uname().nodename,
    )


def recording_path(options: ProfileOptions, command: tuple[str, ...]) -> Path:
    """Where the recording goes: where the user said, or a new file in this folder, or in that for temporary files."""
    if options.recording is not None:
        return options.recording
    word = next((part for part in command[1:] if part.endswith(".py")), command[0])
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in Path(word).name)[:40]
    folder = Path.cwd() if os.access(".", os.W_OK) else Path(tempfile.gettempdir())
    return folder / f"profile-{name}-{os.getpid()}.oomguard"  # no .jsonl: prepare takes those of a folder for its input
