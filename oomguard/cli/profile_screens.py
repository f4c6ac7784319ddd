"""Profile as the flags say, show it, and give the exit status."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.cli.exit_status import own_failures_are_told
from oomguard.cli.profile_events import ShowBegin, show_profile
from oomguard.cli.showing import write_page
from oomguard.kernel.process.commands import own_command
from oomguard.profiling.api import ProfileOptions, profile_command, profile_process, profile_scaling
from oomguard.supervision.supervised import mark_supervised

if TYPE_CHECKING:
    from oomguard.supervision.rules.choice import Choice


def run_profile(
    command: tuple[str, ...],
    *,
    ours: bool,
    output: str | None,
    html: str | None,
    scale_input: str | None,
    pid: int | None,
    enforce: Choice,
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
            enforce=enforce,
        )
        if pid is not None:
            done = profile_process(pid, options, ShowBegin(as_json=as_json))
        elif scale_input is not None:
            done = profile_scaling(options, Path(scale_input), ShowBegin(as_json=as_json))
        else:
            done = profile_command(options, ShowBegin(as_json=as_json))
        show_profile(done.profile, as_json=as_json)
        if html is not None:
            write_page(profile_page(done.profile), Path(html))
    return done.exit_code
