"""`oomguard profile -- COMMAND`: flags in, one call, the result shown."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from oomguard.cli.commands import Command, RunsProgram, choice, job_index, program_of

_PREPARE = "oomguard.profile.prepare"  # in the context's meta: a prepare job and its flags


class ProfileCommand(RunsProgram, Command):
    """`profile -- PROGRAM ...`, or `profile prepare ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `prepare` and all that follows it aside, so that none of its flags is taken for ours."""
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
            help="The recording. Default: a new file in this folder (in /tmp where it is read-only).",
        ),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Also write the profile as a page.")
    ] = None,
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Run the command on the first 1/16, 1/8 and 1/4 of this input instead, and say what all of it needs.",
        ),
    ] = None,
    pid: Annotated[
        str | None, typer.Option("--pid", metavar="PID", help="Profile a running process until Ctrl-C.")
    ] = None,
    enforce: Annotated[
        str,
        choice(
            ("auto", "cgroup", "systemd", "polling"),
            "What enforces the limit; as for run.",
            aliases={"watchdog": "polling"},
        ),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON instead of the screen.")] = False,
) -> None:
    """Measure what a program needs, and which lines grow.

    All its processes are counted together. The profile goes to standard error, since standard output is the program's
    own. Exit status: the program's own; else as for run.

    Example: oomguard profile -- python prepare.py

    Example: oomguard profile --ladder train.txt -- python prepare.py train.txt
    """
    from oomguard.cli.profile_screens import run_profile

    job = context.meta.get(_PREPARE)
    command = job if job is not None else program_of(context)
    if unread:
        context.fail(f"{unread[0]!r} is not a job of oomguard's. To profile your program: -- {' '.join(unread)}")
    if command is None and pid is None:
        context.fail("nothing to profile: give -- PROGRAM, prepare FILE, or --pid PID")
    if command is not None and pid is not None:
        context.fail("--pid profiles what runs already: leave out either it or the program")
    if command is not None and not command:
        context.fail("there is no program after --")
    sys.exit(
        run_profile(
            command or (),
            ours=job is not None,
            output=output,
            html=html,
            ladder=ladder,
            pid=pid,
            enforce=enforce,
            as_json=as_json,
        )
    )
