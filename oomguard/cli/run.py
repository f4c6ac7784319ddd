"""`oomguard run --max-rss SIZE -- COMMAND`: under an enforced budget; `oomguard release`: a job that it froze."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any, ClassVar

import typer

from oomguard.cli.commands import Group, RunsProgram, at_least, program_of, refuse, refuse_unless_program
from oomguard.cli.run_flags import (
    ALLOW_SWAP,
    ENFORCE,
    GRACE,
    MAX_RSS,
    ON_LIMIT,
    REPORT,
    WAIT,
    RunFlags,
    allow_swap_alone,
)

_WITH_A_BUDGET = ("plan", "work", "finish")  # our other commands that take one themselves


class _RunGroup(RunsProgram, Group):
    """`run --max-rss SIZE -- PROGRAM ...`, or one of our jobs."""

    usage = "-- PROGRAM... | prepare ..."
    later: ClassVar[dict[str, str]] = {"prepare": "oomguard.cli.prepare:prepare_command:PrepareCommand"}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take --allow-swap without a size as all of it."""
        return super().parse_args(ctx, allow_swap_alone(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find our job, or say how a program is run."""
        if args[0] not in self.commands:
            size = ctx.params.get("max_rss")
            budget = ["--max-rss", size] if size and args[0] in _WITH_A_BUDGET else []
            refuse_unless_program(
                ctx,
                args,
                cannot="be run under a budget",
                own=f"oomguard {shlex.join([*args, *budget])}",
                do=f"oomguard run --max-rss {shlex.quote(size or 'SIZE')} -- {shlex.join(args)}",
            )
        return super().resolve_command(ctx, args)


run_app = typer.Typer(rich_markup_mode=None, add_completion=False, cls=_RunGroup)


@run_app.callback(invoke_without_command=True)
def run_callback(
    context: typer.Context,
    max_rss: Annotated[str | None, MAX_RSS] = None,
    on_limit: Annotated[str | None, ON_LIMIT] = None,
    grace: Annotated[str | None, GRACE] = None,
    enforce: Annotated[str | None, ENFORCE] = None,
    allow_swap: Annotated[str | None, ALLOW_SWAP] = None,
    report: Annotated[str | None, REPORT] = None,
    wait: Annotated[str | None, WAIT] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON, not as text (on standard error).")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing unless the job is stopped.")] = False,
) -> None:
    """Run a program or an oomguard job under a memory budget.

    At the budget the program is frozen and its stacks are read: you see the line of code, its arguments, and how far
    it had read its input. Exit status: the program's own; 137 stopped at the budget; 125 oomguard failed; 126 the
    program cannot be run; 127 it is not found; 128+N killed by signal N.

    Example: oomguard run --max-rss 12G -- python prepare.py

    Example: oomguard run --max-rss 12G prepare train.txt
    """
    command = program_of(context)
    if command is None and {"-h", "--help"} & set(sys.argv):
        return  # of the job's, which Typer shows next
    flags = RunFlags(
        max_rss=max_rss,
        on_limit=on_limit,
        grace=grace,
        enforce=enforce,
        allow_swap=allow_swap,
        report=report,
        wait=wait,
        as_json=as_json,
        quiet=quiet,
    )
    if command is None:
        if context.invoked_subcommand is None:
            context.fail("nothing to run: give -- PROGRAM for your own program, or prepare FILE")
        context.obj = flags
        return
    if not command:
        context.fail("there is no program after --")
    flags = flags.with_environment()
    if flags.max_rss is None:
        from oomguard.cli.run_flags import need_max_rss

        what, do = need_max_rss(command)
        refuse(what, do=do, of_a_program=True)
    from oomguard.cli.run_job import run_program

    sys.exit(run_program(command, flags))


def release_command(
    pid: Annotated[int, at_least(1, "PID", "The oomguard run process, or any process of its job.")],
    max_rss: Annotated[
        str | None,
        typer.Option("--max-rss", metavar="SIZE", help="Its new budget. Default: the one that the run suggested."),
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="End it instead: SIGTERM, then SIGKILL after its --grace.")
    ] = False,
    allow_swap: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="How much of it may be swapped out; max: no limit. For example after oomguard swap."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Continue or end a job that is frozen at its budget.

    The job was started by oomguard run --on-limit hold.

    Example: oomguard release 4711 --max-rss 20G
    """
    from oomguard.cli.showing import show
    from oomguard.supervision.control_socket import release

    released = release(pid, max_rss=max_rss, stop=stop, allow_swap=allow_swap)
    show(released, as_json=as_json)
