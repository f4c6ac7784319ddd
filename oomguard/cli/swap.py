"""`oomguard swap`, `swap status`, `swap remove`: flags in, one call, the result shown."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from oomguard.cli.showing import screen, show
from oomguard.errors import CannotStart, NeedsPrivilege, OomguardError, Stopped, SwapRefused

if TYPE_CHECKING:
    from oomguard.swap.add import SwapOptions
    from oomguard.swap.screens.change import SwapRemoval
    from oomguard.swap.screens.plan import SwapPlan

_FAILED_ITSELF = 125  # as timeout(1): any other may be the command's own


class _CommandAfterDashes(TyperGroup):
    """`swap --size 8G --for -- CMD ...`: what follows -- is the command, not one of ours."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # Typer has a Click of its own
        at = args.index("--") if "--" in args else len(args)
        if not set(args[:at]) & set(self.commands):
            ctx.obj, args = args[at + 1 :], args[:at]
        return super().parse_args(ctx, args)


swap_app = typer.Typer(
    cls=_CommandAfterDashes, invoke_without_command=True, rich_markup_mode=None, subcommand_metavar="[-- CMD...]"
)

JsonFlag = Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, as commands too, and stop.")]


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
            help="Take the size from the JSON of diagnose, profile or run: peak - available + 10 %.",
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(help="The swap file to make, or a folder for it. Default: the fastest suitable disk with room."),
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, max=32767, help="Higher is filled first. Default: after all that are on.")
    ] = None,
    persist: Annotated[
        bool, typer.Option("--persist", help="On again after each boot: one line in /etc/fstab.")
    ] = False,
    for_command: Annotated[
        bool, typer.Option("--for", help="Run the command after --, and remove the swap when it ends.")
    ] = False,
    dry_run: DryRunFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """More memory for a while: make a swap file, switch it on, see that it is; or say why not.

    Shows what it would do and whether that helps, asks, and does it; whatever fails, nothing is left behind.

    Example: oomguard swap --size 64G --for -- python prepare.py
    """
    if context.invoked_subcommand is not None:
        return
    command: list[str] = context.obj if isinstance(context.obj, list) else []
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


@swap_app.command("status")
def status_command(as_json: JsonFlag = False) -> None:
    """Show the swap areas, how full they are, whose memory is in them, and how fast it moves now.

    Example: oomguard swap status
    """
    from oomguard.swap.status import swap_status

    show(swap_status(), as_json=as_json)


@swap_app.command("remove")
def remove_command(
    path: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The area to remove. Default: all that oomguard made.")
    ] = None,
    dry_run: DryRunFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Switch swap off that oomguard made, or that is named: memory takes back what is swapped, then the file goes.

    Example: oomguard swap remove /oomguard.swap
    """
    from oomguard.cli.swap_progress import show_swap_events
    from oomguard.swap.remove import plan_swap_removal, remove_swap

    planned = plan_swap_removal(path)
    if dry_run:
        show(planned, as_json=as_json)
        return
    _ask(planned, "remove it?", yes=yes, line="oomguard swap remove --yes")
    with show_swap_events() as events:
        removed = remove_swap(planned, events=events)
    show(removed, as_json=as_json)


def _options(
    size: str | None, report: Path | None, path: Path | None, priority: int | None, *, persist: bool, for_command: bool
) -> SwapOptions:
    from oomguard.swap.add import SwapOptions
    from oomguard.units import parse_size

    if (size is None) == (report is None):
        raise typer.BadParameter("give --size SIZE or --from FILE, one of the two, such as --size 8G")
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
        raise typer.BadParameter("the command after -- needs --for: it has the swap until it ends")
    if for_command and persist:
        raise typer.BadParameter("--for removes the swap and --persist keeps it: give one of the two")


def _make(options: SwapOptions, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from oomguard.cli.swap_progress import show_swap_events
    from oomguard.swap.add import add_swap, plan_swap

    with show_swap_events() as events:
        plan = plan_swap(options, clean=not dry_run, events=events)
        if dry_run:
            show(plan, as_json=as_json)
            return
        _agree(plan, yes=yes)
        added = add_swap(plan, events=events)
    show(added, as_json=as_json, kept="the swap is on; oomguard swap status shows it")


def _make_for(options: SwapOptions, command: list[str], *, dry_run: bool, yes: bool, as_json: bool) -> int:
    from oomguard.cli.swap_progress import show_swap_events
    from oomguard.swap.add import plan_swap, run_with_swap

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
        sys.stderr.write(f"{screen(plan.render())}\n")
        return
    if not plan.as_root:
        sys.stderr.write(f"{screen(plan.render())}\n\n")
        raise NeedsPrivilege("only root can make swap", do="the same with sudo, or paste the commands above")
    _ask(plan, "make it?", yes=yes, line="oomguard swap --yes ...")


def _ask(planned: SwapPlan | SwapRemoval, question: str, *, yes: bool, line: str) -> None:
    sys.stderr.write(f"{screen(planned.render())}\n\n")
    sys.stderr.flush()
    if yes:
        return
    if not sys.stdin.isatty():
        raise SwapRefused("nothing was changed: there is no terminal to ask on", do=f"{line}, to do it unasked")
    if not typer.confirm(question, err=True):
        raise SwapRefused("nothing was changed", do=f"{line}, to do it unasked")
