"""What a person sees of a profile: all of it on standard error, as the program has the rest for itself."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from oomguard.cli.console import say, tell
from oomguard.cli.showing import screen
from oomguard.profiling.screens import render_profile
from oomguard.units import format_size

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.profiling.model import PeakProfile


class ShowBegin:
    """Says where the recording is, before there is a profile; with `as_json` nothing but the JSON is shown."""

    def __init__(self, *, as_json: bool) -> None:
        """Silent where a program reads the output."""
        self._is_silent = as_json

    def begins(self, recording: Path, tier: str) -> None:
        """One line: if this process is killed, that file is what remains."""
        if self._is_silent:
            return
        say(f"recording to {recording} (by {tier})", prefix="oomguard: ")

    def run_begins(self, number: int, input_bytes: int) -> None:
        """One line for each run."""
        if self._is_silent:
            return
        say(
            f"run {number} of 3, on {format_size(input_bytes)} of the input; outputs are written each time",
            prefix="oomguard: ",
        )


def show_profile(profile: PeakProfile, *, as_json: bool) -> None:
    """The result, on standard error: standard output is the program's."""
    tell((json.dumps(profile.to_json()) if as_json else screen(render_profile(profile), to=sys.stderr)) + "\n")
