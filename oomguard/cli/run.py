"""`oomguard run --max-rss SIZE -- COMMAND` and `... prepare FILE`: a command under an enforced memory budget."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from oomguard.cli.plain_options import PlainCommand, PlainGroup
from oomguard.cli.prepare import prepare_command

_COMMAND = "oomguard.run.command"  # what stood after "--", in the context's meta


class RunGroup(PlainGroup):
    """Tells `-- COMMAND` from a job of ours by the "--": both are what is left when the options are read."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command after "--" aside, so that none of ours is looked for under its name."""
        end = args.index("--") if "--" in args else len(args)
        args = [*("--allow-swap=max" if arg == "--allow-swap" else arg for arg in args[:end]), *args[end:]]
        super().parse_args(ctx, list(args))
        rest = [*ctx._protected_args, *ctx.args]  # noqa: SLF001 - where Typer keeps the name of the subcommand
        before = len(args) - len(rest) - 1
        if before >= 0 and args[before] == "--":
            ctx.meta[_COMMAND] = tuple(rest)
            ctx._protected_args, ctx.args = [], []  # noqa: SLF001 - as above
        elif rest and rest[0] not in self.commands:
            ctx.fail(f"{rest[0]!r} is no job of oomguard's. For a program of yours: -- {' '.join(rest)}")
        left: list[str] = ctx.args
        return left


run_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, cls=RunGroup)


@run_app.callback(invoke_without_command=True)
def run_callback(
    context: typer.Context,
    max_rss: Annotated[
        str | None,
        typer.Option(
            "--max-rss",
            metavar="SIZE",
            help="The budget: 12G (= 12GiB, 2**30 bytes each), 12GB, or 80% of what is available now.",
        ),
    ] = None,
    on_limit: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="At the budget, once it was read: stop (SIGTERM, then SIGKILL) | hold (until oomguard release, or "
            "the keys r and s) | kill.",
        ),
    ] = "stop",
    grace: Annotated[str, typer.Option(metavar="SECONDS", help="From SIGTERM to SIGKILL.")] = "10",
    enforce: Annotated[
        str, typer.Option(metavar="WAY", help="auto (the best to be had) | cgroup | systemd | watchdog.")
    ] = "auto",
    allow_swap: Annotated[
        str | None,
        typer.Option(metavar="[=SIZE]", help="Let the job be swapped out, as far as SIZE; else its swap is closed."),
    ] = None,
    report: Annotated[str | None, typer.Option(metavar="FILE", help="Write the report there, as JSON.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The report as JSON on standard error, where the screen would be.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing unless the job is stopped.")] = False,
) -> None:
    """Run any program, or a job of oomguard's, under a memory budget that is enforced.

    At the budget the program is held where it is, and read: you see the line of code, its arguments, and how far it
    was in its input. Exit status: the program's own; 137 stopped at the budget; 125 oomguard failed; 126, 127 the
    program cannot be run, is not found; 128+N ended by signal N.

    Example: oomguard run --max-rss 12G -- python prepare.py

    Example: oomguard run --max-rss 12G prepare train.txt
    """
    command = context.meta.get(_COMMAND)
    if max_rss is None:
        from oomguard.cli.run_events import need_max_rss

        raise typer.BadParameter(need_max_rss(command), param_hint="--max-rss")
    if command is None:
        if context.invoked_subcommand is None:
            context.fail("there is nothing to run: -- COMMAND for a program of yours, or prepare FILE")
        from oomguard.units import parse_size

        context.obj = parse_size(max_rss)
        return
    if not command:
        context.fail("there is no command after --")
    _run(
        command,
        max_rss,
        report=report,
        as_json=as_json,
        quiet=quiet,
        on_limit=on_limit,
        grace=grace,
        enforce=enforce,
        allow_swap=allow_swap,
    )


def _run(command: tuple[str, ...], max_rss: str, **flags: Any) -> None:
    from oomguard.cli.run_events import ShowEvents, read_options, show_outcome
    from oomguard.errors import CannotStart, OomguardError
    from oomguard.supervision.api import guard_command

    try:
        options = read_options(command, max_rss, **flags)
        outcome = guard_command(options, ShowEvents(quiet=flags["quiet"] or flags["as_json"]))
        show_outcome(outcome, **flags)
    except OomguardError as error:
        if not isinstance(error, CannotStart):
            error.exit_status = 125  # any other may be the command's own
        raise
    sys.exit(outcome.exit_code)


run_app.command("prepare", cls=PlainCommand)(prepare_command)
