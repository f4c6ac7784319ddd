"""Profile as the flags say, show it, and give the exit status."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.cli.console import own_failures_are_told
from oomguard.cli.profile_events import ShowBegin, show_profile
from oomguard.cli.showing import write_page
from oomguard.kernel.process.commands import own_command
from oomguard.profiling.api import ProfileOptions, profile_command, profile_process, profile_scaling
from oomguard.supervision.supervise import mark_supervised

if TYPE_CHECKING:
    from oomguard.supervision.rules.enforcement import Choice

PEAK_TOO_HIGH = 124  # and the program itself ended with 0; a number that few programs end with


def run_profile(
    command: tuple[str, ...],
    *,
    ours: bool,
    output: str | None,
    html: str | None,
    scale_input: str | None,
    fail_over: int | None,
    pid: int | None,
    enforce: Choice,
    as_json: bool,
) -> int:
    """Profile, show it, and give the exit status."""
    with own_failures_are_told():
        if ours:
            mark_supervised()
        options = ProfileOptions(
            command=tuple(own_command("oomguard.cli.app", *command)) if ours else command,
            shown=("oomguard", *command) if ours else (),
            recording=Path(output) if output else None,
            enforce=enforce,
        )
        if pid is not None:
            done = profile_process(pid, options, ShowBegin(as_json=as_json))
        elif scale_input is not None:
            done = profile_scaling(options, Path(scale_input), ShowBegin(as_json=as_json))
        else:
            done = profile_command(options, ShowBegin(as_json=as_json))
        profile = replace(done.profile, fail_over=fail_over)
        show_profile(profile, as_json=as_json)
        if html is not None:
            from oomguard.profiling.page.page import profile_page  # here: few ask for it

            write_page(profile_page(profile), Path(html))
    return done.exit_code or (PEAK_TOO_HIGH if profile.is_over else 0)
