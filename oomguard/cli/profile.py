"""`oomguard profile -- COMMAND` and `oomguard report FILE`: flags in, one call, the result shown."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from oomguard.cli.commands import Command, RunsProgram, at_least, choice, job_index, program_of, refuse_unless_program
from oomguard.cli.showing import show, write_page
from oomguard.supervision.options import CHOICES, OLD_NAMES

_OLD = re.compile(r"^--ladder(?==|$)")  # its name in 0.1
_PREPARE = "oomguard.profile.prepare"  # in the context's meta: a prepare job and its flags


class ProfileCommand(RunsProgram, Command):
    """`profile -- PROGRAM ...`, or `profile prepare ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `prepare` and all that follows aside, so that none of its flags is taken for one of ours."""
        end = args.index("--") if "--" in args else len(args)
        args = [_OLD.sub("--scale-input", arg) for arg in args[:end]] + args[end:]
        at = job_index(args, "prepare", self, ctx)
        if at is not None:
            ctx.meta[_PREPARE] = tuple(args[at:])
            args = args[:at]
        return super().parse_args(ctx, args)


def profile_command(
    context: typer.Context,
    unread: Annotated[
        list[str] | None, typer.Argument(metavar="-- PROGRAM... | prepare ...", help="What to run.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The recording. Default: a new file in this folder (in /tmp if this folder is read-only).",
        ),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Also write the profile as a page.")
    ] = None,
    scale_input: Annotated[
        str | None,
        typer.Option(
            "--scale-input",
            metavar="FILE",
            help="Run the command three times instead, on the first 1/16, 1/8 and 1/4 of this input, and forecast what "
            "all of it needs. Each run writes the command's outputs: those of an earlier run are overwritten.",
        ),
    ] = None,
    fail_over: Annotated[
        str | None,
        typer.Option(
            "--fail-over",
            metavar="SIZE",
            help="For CI: exit with 124 if the peak was higher than SIZE and the program itself ended with 0.",
        ),
    ] = None,
    pid: Annotated[int | None, at_least(1, "PID", "Profile a running process until Ctrl-C.", "--pid")] = None,
    enforce: Annotated[
        str,
        choice(
            CHOICES,
            "What measures the memory, and stops the job before this machine has none left: as for run.",
            aliases=OLD_NAMES,
        ),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON, not as text.")] = False,
) -> None:
    """Measure a program's memory, and show which lines take it.

    All its processes are counted together. The profile goes to standard error, since standard output is the program's
    own. Exit status: the program's own; 124 if that is 0 and the peak exceeded --fail-over; otherwise as for run.

    Example: oomguard profile -- python prepare.py

    Example: oomguard profile --scale-input train.txt -- python prepare.py train.txt

    Example: oomguard profile --fail-over 2G -- pytest tests/test_loader.py
    """
    from oomguard.cli.profile_screens import run_profile
    from oomguard.profiling.api import ProfileOptions
    from oomguard.supervision.options import read_choice
    from oomguard.units import parse_size

    job = context.meta.get(_PREPARE)
    command = job if job is not None else program_of(context)
    if unread:
        refuse_unless_program(
            context,
            unread,
            cannot="be profiled",
            own=f"oomguard {shlex.join(unread)}",
            do=f"oomguard profile -- {shlex.join(unread)}",
        )
    if command is None and pid is None:
        context.fail("nothing to profile: give -- PROGRAM, prepare FILE, or --pid PID")
    if command is not None and pid is not None:
        context.fail("--pid profiles a running process: leave out --pid or the program")
    if command is not None and not command:
        context.fail("there is no program after --")
    if fail_over is not None and scale_input is not None:
        context.fail("--fail-over is about the whole run: leave out --fail-over or --scale-input")
    sys.exit(
        run_profile(
            ProfileOptions(
                command=command or (), recording=Path(output) if output else None, enforce=read_choice(enforce)
            ),
            ours=job is not None,
            html=html,
            scale_input=scale_input,
            fail_over=None if fail_over is None else parse_size(fail_over),
            pid=pid,
            as_json=as_json,
        )
    )


def report_command(
    context: typer.Context,
    recording: Annotated[Path, typer.Argument(metavar="FILE", help="A recording that oomguard profile made.")],
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write it as an HTML page.")] = None,
    diff: Annotated[
        Path | None,
        typer.Option("--diff", metavar="FILE", help="A later recording of the same program, to show what changed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show a recorded profile again.

    It also works for a recording that a kill cut short.

    Example: oomguard report profile-prepare.py-4711.oomguard --html profile.html

    Example: oomguard report before.oomguard --diff after.oomguard
    """
    from oomguard.profiling.api import compare, read_recording
    from oomguard.profiling.screens import render_difference, render_profile

    profile = read_recording(recording)
    if diff is not None:
        if html is not None:
            context.fail("--html shows one recording: leave out --html or --diff")
        show(compare(profile, read_recording(diff)), render=render_difference, as_json=as_json)
        return
    if html is not None:
        from oomguard.profiling.page import profile_page

        write_page(profile_page(profile), html)
    show(profile, render=render_profile, as_json=as_json)
