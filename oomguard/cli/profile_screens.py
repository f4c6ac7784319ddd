"""What a person sees of a profile; on standard error while a program runs that has the rest for itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.cli.own_failure import own_failures_are_told
from oomguard.cli.showing import screen, write_page
from oomguard.cli.standard_error import tell
from oomguard.errors import BadInput
from oomguard.kernel.process.self_exec import own_command
from oomguard.profiling.api import ProfileOptions, profile_command, profile_process
from oomguard.profiling.scaling.api import profile_ladder
from oomguard.supervision.rules.choice import read_choice
from oomguard.supervision.supervised import mark_supervised
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.profiling.screen import PeakProfile


class ShowBegin:
    """Says where the recording is, before there is a profile; with `as_json`, only the JSON is told."""

    def __init__(self, *, as_json: bool) -> None:
        """Tell people, unless a program reads what is told."""
        self._is_silent = as_json

    def begins(self, recording: Path, tier: str) -> None:
        """One line: if this process is killed, that file is what there is."""
        if self._is_silent:
            return
        tell(f"oomguard: recording to {printable(str(recording))} (by {tier})\n")

    def climbs(self, number: int, input_bytes: int) -> None:
        """One line for each run."""
        if self._is_silent:
            return
        tell(f"oomguard: run {number}, on {format_size(input_bytes)} of the input\n")


def run_profile(
    command: tuple[str, ...],
    *,
    ours: bool,
    output: str | None,
    html: str | None,
    ladder: str | None,
    pid: str | None,
    enforce: str,
    as_json: bool,
) -> int:
    """Profile, show it, and give the exit status."""
    with own_failures_are_told():
        if ours:
            mark_supervised()
        if html is not None:
            from oomguard.profiling.page.page import need_plotly, profile_page  # here: it is large, and few ask for it

            need_plotly()
        options = ProfileOptions(
            command=tuple(own_command("oomguard.cli.app", *command)) if ours else command,
            shown=("oomguard", *command) if ours else (),
            recording=Path(output) if output else None,
            enforce=read_choice(enforce),
        )
        if pid is not None:
            done = profile_process(_read_pid(pid), options, ShowBegin(as_json=as_json))
        elif ladder is not None:
            done = profile_ladder(options, Path(ladder), ShowBegin(as_json=as_json))
        else:
            done = profile_command(options, ShowBegin(as_json=as_json))
        _show(done.profile, as_json=as_json)
        if html is not None:
            write_page(profile_page(done.profile), Path(html))
    return done.exit_code


def _read_pid(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise BadInput(
            f'--pid "{printable(text)}" is no number of a process', do="pgrep -af python lists those of Python"
        )
    return int(text)


def _show(profile: PeakProfile, *, as_json: bool) -> None:
    tell((json.dumps(profile.to_json()) if as_json else screen(profile.render())) + "\n")
