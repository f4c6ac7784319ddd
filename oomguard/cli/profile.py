"""`oomguard profile -- COMMAND`: flags in, one call, the result shown."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from oomguard.cli.plain_options import PlainCommand

_COMMAND = "oomguard.profile.command"  # what stood after "--", in the context's meta
_OURS = "oomguard.profile.ours"
_WITH_VALUE = ("-o", "--output", "--html", "--ladder", "--pid", "--enforce")


class ProfileCommand(PlainCommand):
    """Puts the command after "--" aside, so that none of its options is taken for ours."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `-- COMMAND`, or `prepare` and all that follows it."""
        values = {number + 1 for number, arg in enumerate(args) if arg in _WITH_VALUE}
        ends = (number for number, arg in enumerate(args) if arg in ("--", "prepare") and number not in values)
        end = next(ends, len(args))
        if end < len(args):
            ctx.meta[_COMMAND] = tuple(args[end + 1 :] if args[end] == "--" else args[end:])
            ctx.meta[_OURS] = args[end] == "prepare"
        left: list[str] = super().parse_args(ctx, args[:end])
        return left


def profile_command(
    context: typer.Context,
    unread: Annotated[
        list[str] | None, typer.Argument(metavar="(prepare ... | -- COMMAND)", help="What to run.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="The recording. Default: one in this folder.")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write the profile as a page, too.")
    ] = None,
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Run the command on the first 1/16, 1/8 and 1/4 of this input instead, and say what all of it needs.",
        ),
    ] = None,
    pid: Annotated[
        str | None, typer.Option("--pid", metavar="PID", help="Profile what runs already, until Ctrl-C.")
    ] = None,
    enforce: Annotated[
        str, typer.Option(metavar="WAY", help="How the job is kept from the machine's last memory; as for run.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="The profile as JSON where the screen would be.")] = False,
) -> None:
    """Say what a program needs at its peak, all its processes together, and which lines of it grew.

    The profile is shown on standard error, as the program has standard output for itself. Exit status: the program's
    own; else as for run.

    Example: oomguard profile -- python prepare.py

    Example: oomguard profile --ladder train.txt -- python prepare.py train.txt
    """
    from oomguard.cli.profile_screens import run_profile

    command = context.meta.get(_COMMAND)
    if unread:
        context.fail(f"{unread[0]!r} is no job of oomguard's. For a program of yours: -- {' '.join(unread)}")
    if command is None and pid is None:
        context.fail("one of them is needed: -- COMMAND, prepare FILE, or --pid PID")
    if command is not None and pid is not None:
        context.fail("--pid is for what runs already: leave it, or the command, out")
    if command is not None and not command:
        context.fail("there is no command after --")
    sys.exit(
        run_profile(
            command or (),
            ours=context.meta.get(_OURS, False),
            output=output,
            html=html,
            ladder=ladder,
            pid=pid,
            enforce=enforce,
            as_json=as_json,
        )
    )
