"""`oomguard swap`, `swap status`, `swap remove`: flags in, one call, the result shown."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oomguard.cli.commands import Command, Group, RunsProgram, at_least, program_of, refuse
from oomguard.cli.console import ProgressLine, say
from oomguard.cli.showing import screen, show
from oomguard.errors import CannotStart, NeedsPrivilege, OomguardError, Stopped, SwapRefused
from oomguard.units import format_clock, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from oomguard.swap.api import SwapEvents
    from oomguard.swap.model import SwapOptions, SwapPlan


_FAILED_ITSELF = 125  # as timeout(1): any other may be the command's own


@contextmanager
def show_swap_events() -> Iterator[SwapEvents]:
    """Give the events that show progress and notes, on standard error, until the block ends."""
    from oomguard.swap.api import SwapEvents

    reporter = _Reporter()
    try:
        yield SwapEvents(on_progress=reporter.progress, on_note=reporter.note)
    finally:
        reporter.line.close()


class _Reporter:
    def __init__(self) -> None:
        self.line = ProgressLine()
        self._doing = ""
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        say(text, prefix="note: ")

    def progress(self, doing: str, done: int, total: int) -> None:
        if doing != self._doing:
            self._doing, self._began = doing, time.monotonic()
        seconds = time.monotonic() - self._began
        left = f", {format_clock(seconds * (total - done) / done)} left" if done and seconds > 1 else ""
        self.line.show(f"{doing}: {format_size(done)} of {format_size(total)}{left}", done=done, total=total)
        if done >= total:
            self.line.close()


class _SwapGroup(RunsProgram, Group):
    """`swap --size 8G --for -- PROGRAM ...`."""

    usage = "[-- PROGRAM...] | COMMAND"

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or say where a size belongs."""
        if args[0] not in self.commands and args[0][:1].isdigit():
            refuse(f'"{args[0]}" is not a command', do=f"oomguard swap --size {shlex.quote(args[0])}")
        return super().resolve_command(ctx, args)


swap_app = typer.Typer(cls=_SwapGroup, invoke_without_command=True, rich_markup_mode=None, add_completion=False)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunFlag = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and the commands for it, and stop.")
]


@swap_app.callback()
def swap_command(
    context: typer.Context,
    size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="How much: 64G (= 64GiB, 2**30 bytes each) or 64GB.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Take the size from the JSON of diagnose, profile or run: peak - available, plus 10%; the peak of a "
            "killed job is taken to be twice what it used, unless the report says how much of its input it had read.",
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The swap file, or a folder for it. Default: the fastest suitable disk with room.",
        ),
    ] = None,
    priority: Annotated[
        int | None,
        at_least(
            0,
            "N",
            "0 to 32767; the area with the highest is filled first. Default: lower than every active swap area.",
            "--priority",
            most=32767,
        ),
    ] = None,
    persist: Annotated[
        bool, typer.Option("--persist", help="Switch it on again after each boot: one line in /etc/fstab.")
    ] = False,
    for_command: Annotated[
        bool, typer.Option("--for", help="Run the command after --, and remove the swap when it ends.")
    ] = False,
    dry_run: DryRunFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Add swap for a while, or permanently.

    It shows what it would do and whether that helps, asks, and then does it. If a step fails, nothing is left behind.

    Example: oomguard swap --size 64G --for -- python prepare.py
    """
    if context.invoked_subcommand is not None:
        return
    command = list(program_of(context) or ())
    options = _options(size, report, path, priority, persist=persist, for_command=for_command)
    _check_flags(command, for_command=for_command, persist=persist)
    if not for_command:
        _make(options, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    try:
        code = _make_for(options, command, dry_run=dry_run, yes=yes, as_json=as_json)
    except OomguardError as error:
        if not isinstance(error, (CannotStart, Stopped)):
            error.exit_status = _FAILED_ITSELF
        raise
    raise typer.Exit(code)


@swap_app.command("status", cls=Command)
def status_command(as_json: JsonFlag = False) -> None:
    """Show swap areas, their processes, and the swap-in/out rate.

    Example: oomguard swap status
    """
    from oomguard.swap.api import swap_status

    show(swap_status(), as_json=as_json)


@swap_app.command("remove", cls=Command)
def remove_command(
    path: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The area to remove. Default: all that oomguard made.")
    ] = None,
    dry_run: DryRunFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Switch off swap and delete its file.

    What is swapped out is read back into memory first.

    Example: oomguard swap remove /oomguard.swap
    """
    from oomguard.swap.api import plan_swap_removal, remove_swap

    planned = plan_swap_removal(path)
    if dry_run:
        show(planned, as_json=as_json)
        return
    _ask(planned.render(), "remove it?", yes=yes, line="oomguard swap remove --yes")
    with show_swap_events() as events:
        removed = remove_swap(planned, events=events)
    show(removed, as_json=as_json)


def _options(
    size: str | None, report: Path | None, path: Path | None, priority: int | None, *, persist: bool, for_command: bool
) -> SwapOptions:
    from oomguard.swap.model import SwapOptions
    from oomguard.units import parse_size

    if (size is None) == (report is None):
        raise typer.BadParameter("give either --size SIZE or --from FILE, such as --size 8G")
    return SwapOptions(
        size=None if size is None else parse_size(size),
        report=report,
        path=path,
        priority=priority,
        persist=persist,
        for_command=for_command,
    )


def _check_flags(command: list[str], *, for_command: bool, persist: bool) -> None:
    if for_command and not command:
        raise typer.BadParameter("--for needs the command after --, such as --for -- python prepare.py")
    if command and not for_command:
        raise typer.BadParameter("the command after -- needs --for, which keeps the swap until that command ends")
    if for_command and persist:
        raise typer.BadParameter("--for removes the swap and --persist keeps it: give one of the two")


def _make(options: SwapOptions, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from oomguard.swap.api import add_swap, plan_swap

    with show_swap_events() as events:
        plan = plan_swap(options, clean=not dry_run, events=events)
        if dry_run:
            show(plan, as_json=as_json)
            return
        _agree(plan, yes=yes)
        added = add_swap(plan, events=events)
    show(added, as_json=as_json, kept="the swap is on; oomguard swap status shows it")


def _make_for(options: SwapOptions, command: list[str], *, dry_run: bool, yes: bool, as_json: bool) -> int:
    from oomguard.swap.api import plan_swap, run_with_swap

    with show_swap_events() as events:
        plan = plan_swap(options, clean=not dry_run, events=events)
        if dry_run:
            show(plan, as_json=as_json)
            return 0
        _agree(plan, yes=yes)
        added = run_with_swap(plan, command, events=events)
    if as_json:
        show(added, as_json=True)
    return added.exit_code or 0


def _agree(plan: SwapPlan, *, yes: bool) -> None:
    """Show the plan and ask. Without the right to do it, the plan is what there is to have."""
    if plan.place is None:
        sys.stderr.write(f"{screen(plan.render(), to=sys.stderr)}\n")
        return
    if not plan.as_root:
        sys.stderr.write(f"{screen(plan.render(), to=sys.stderr)}\n\n")
        raise NeedsPrivilege(
            "only root can make swap", do="sudo $(command -v oomguard) swap ..., or the commands above"
        )
    _ask(plan.render(), "make it?", yes=yes, line="oomguard swap --yes ...")


def _ask(planned: RenderableType, question: str, *, yes: bool, line: str) -> None:
    sys.stderr.write(f"{screen(planned, to=sys.stderr)}\n\n")
    sys.stderr.flush()
    if yes:
        return
    if not sys.stdin.isatty():
        raise SwapRefused("nothing was changed: there is no terminal to ask on, and --yes was not given", do=line)
    if not typer.confirm(question, err=True):
        sys.stderr.write("nothing was changed\n")
        raise typer.Exit(1)
