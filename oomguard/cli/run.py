"""`oomguard run --max-rss SIZE -- COMMAND` and `... prepare FILE`: a command under an enforced memory budget."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from oomguard.cli.commands import Command, Group, RunsProgram, choice, program_of
from oomguard.cli.prepare import prepare_command


class _RunGroup(RunsProgram, Group):
    """`run --max-rss SIZE -- PROGRAM ...`, or one of our jobs."""

    usage = "-- PROGRAM... | prepare ..."

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take --allow-swap without a size as all of it."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(
            ctx, ["--allow-swap=max" if arg == "--allow-swap" else arg for arg in args[:end]] + args[end:]
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find our job, or say how a program is run."""
        if args[0] not in self.commands:
            ctx.fail(f"{args[0]!r} is not a job of oomguard's. To run your program: -- {' '.join(args)}")
        return super().resolve_command(ctx, args)


run_app = typer.Typer(rich_markup_mode=None, cls=_RunGroup)


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
        choice(
            ("stop", "hold", "kill"),
            "At the budget, after the stacks were read: stop it (SIGTERM, then SIGKILL), hold it (until oomguard "
            "release, or the keys r and s), or kill it.",
        ),
    ] = "stop",
    grace: Annotated[str, typer.Option(metavar="SECONDS", help="From SIGTERM to SIGKILL.")] = "10",
    enforce: Annotated[
        str,
        choice(
            ("auto", "cgroup", "systemd", "polling"),
            "What enforces the budget. auto: the best available.",
            aliases={"watchdog": "polling"},
        ),
    ] = "auto",
    allow_swap: Annotated[
        str | None,
        typer.Option(metavar="[=SIZE]", help="Let the job swap, up to SIZE; otherwise it may not."),
    ] = None,
    report: Annotated[str | None, typer.Option(metavar="FILE", help="Write the report to FILE as JSON.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON on standard error, instead of the screen.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing unless the job is stopped.")] = False,
) -> None:
    """Run a program or an oomguard job under a memory budget.

    At the budget the program is frozen and its stacks are read: you see the line of code, its arguments, and how far
    it was in its input. Exit status: the program's own; 137 stopped at the budget; 125 oomguard failed; 126 the
    program cannot be run; 127 it is not found; 128+N killed by signal N.

    Example: oomguard run --max-rss 12G -- python prepare.py

    Example: oomguard run --max-rss 12G prepare train.txt
    """
    command = program_of(context)
    if command is None and {"-h", "--help"} & set(sys.argv):
        return  # of the job's, which Typer shows next
    if max_rss is None:
        from oomguard.cli.run_events import need_max_rss

        raise typer.BadParameter(need_max_rss(command), param_hint="--max-rss")
    if command is None:
        if context.invoked_subcommand is None:
            context.fail("nothing to run: give -- PROGRAM for your own program, or prepare FILE")
        from oomguard.units import parse_size

        context.obj = parse_size(max_rss)
        return
    if not command:
        context.fail("there is no program after --")
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
    from oomguard.cli.own_failure import own_failures_are_told

    with own_failures_are_told():
        from oomguard.cli.run_events import ShowEvents, read_options, show_outcome
        from oomguard.supervision.api import supervise

        options = read_options(command, max_rss, **flags)
        outcome = supervise(options, ShowEvents(quiet=flags["quiet"] or flags["as_json"]))
        show_outcome(outcome, **flags)
    sys.exit(outcome.exit_code)


run_app.command("prepare", cls=Command)(prepare_command)
