"""`oomguard report FILE`: flags in, one call, the result shown."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from oomguard.cli.showing import show, write_page


def report_command(
    context: typer.Context,
    recording: Annotated[Path, typer.Argument(metavar="FILE", help="A recording that oomguard profile made.")],
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page, too.")] = None,
    diff: Annotated[
        Path | None,
        typer.Option("--diff", metavar="FILE", help="A later recording of the same program, to show what changed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
) -> None:
    """Show a recorded profile again.

    Also one that a kill cut short.

    Example: oomguard report profile-prepare.py-4711.oomguard --html profile.html

    Example: oomguard report before.oomguard --diff after.oomguard
    """
    from oomguard.profiling.api import compare, read_recording
    from oomguard.profiling.screens import render_difference, render_profile

    profile = read_recording(recording)
    if diff is not None:
        if html is not None:
            context.fail("--html shows one recording: leave out either it or --diff")
        show(compare(profile, read_recording(diff)), render=render_difference, as_json=as_json)
        return
    if html is not None:
        from oomguard.profiling.page.page import profile_page

        write_page(profile_page(profile), html)
    show(profile, render=render_profile, as_json=as_json)
