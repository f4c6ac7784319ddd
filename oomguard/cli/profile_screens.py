"""Profile as the flags say, and show it: on standard error, as the program has the rest for itself."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from oomguard.cli.console import own_failures_are_told, say, tell
from oomguard.cli.showing import screen, write_page
from oomguard.kernel.process import own_command
from oomguard.profiling.api import ProfileOptions, profile_command, profile_process, profile_scaling
from oomguard.profiling.screens import render_profile
from oomguard.supervision.own_budget import mark_supervised
from oomguard.units import format_size

PEAK_TOO_HIGH = 124  # and the program itself ended with 0; a number that few programs end with


def run_profile(
    options: ProfileOptions,
    *,
    ours: bool,
    html: str | None,
    scale_input: str | None,
    fail_over: int | None,
    pid: int | None,
    as_json: bool,
) -> int:
    """Profile, show it, and give the exit status; `ours`: the command is one of oomguard's."""
    with own_failures_are_told():
        if ours:
            mark_supervised()
            job, shown = tuple(own_command("oomguard.cli.app", *options.command)), ("oomguard", *options.command)
            options = replace(options, command=job, shown=shown)
        if pid is not None:
            done = profile_process(pid, options, ShowBegin(as_json=as_json))
        elif scale_input is not None:
            done = profile_scaling(options, Path(scale_input), ShowBegin(as_json=as_json))
        else:
            done = profile_command(options, ShowBegin(as_json=as_json))
        profile = replace(done.profile, fail_over=fail_over)
        shown_as = json.dumps(profile.to_json()) if as_json else screen(render_profile(profile), to=sys.stderr)
        tell(shown_as + "\n")
        if html is not None:
            from oomguard.profiling.page import profile_page  # here: few ask for it

            write_page(profile_page(profile), Path(html))
    return done.exit_code or (PEAK_TOO_HIGH if profile.is_over else 0)


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
        on = format_size(input_bytes)
        say(f"run {number} of 3, on {on} of the input; outputs are written each time", prefix="oomguard: ")
