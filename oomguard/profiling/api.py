"""`oomguard profile`: what a program needs at its peak, and where it grew; recorded while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NothingFound
from oomguard.profiling.command import profile_command, profile_process
from oomguard.profiling.options import Profiled, ProfileEvents, ProfileOptions
from oomguard.profiling.recording.file import read_events
from oomguard.profiling.rules.difference import ProfileDifference, compare
from oomguard.profiling.rules.rebuild import build_profile
from oomguard.profiling.scaling.api import ScalingEvents, profile_scaling
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.profiling.model import PeakProfile

__all__ = [
    "ProfileDifference",
    "ProfileEvents",
    "ProfileOptions",
    "Profiled",
    "ScalingEvents",
    "compare",
    "profile_command",
    "profile_process",
    "profile_scaling",
    "read_recording",
]


def read_recording(path: Path) -> PeakProfile:
    """Read a recording, whole or cut short.

    Raises: BadInput if it is not a recording; NothingFound if it does not exist.
    """
    try:
        return build_profile(read_events(path))
    except FileNotFoundError as error:
        raise NothingFound(
            f"there is no recording {printable(str(path))}", do="oomguard profile -o FILE -- COMMAND"
        ) from error
    except OSError as error:
        raise BadInput(
            f"the recording {printable(str(path))} cannot be read: {error.strerror}", do="oomguard report FILE"
        ) from error
    except BadInput as error:
        raise BadInput(f"{printable(str(path))}: {error}", do=error.do) from error
