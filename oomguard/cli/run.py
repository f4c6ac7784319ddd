"""`oomguard run --max-rss SIZE prepare ...`: a command under an enforced memory budget."""

from __future__ import annotations

from typing import Annotated

import typer

from oomguard.cli.prepare import prepare_command

run_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
)


@run_app.callback()
def run_callback(
    context: typer.Context,
    max_rss: Annotated[
        str, typer.Option("--max-rss", metavar="SIZE", help="The budget: 12G (= 12GiB, 2**30 bytes each) or 12GB.")
    ],
) -> None:
    """Run `prepare` under a memory budget that the kernel enforces.

    Example: oomguard run --max-rss 12G prepare train.txt
    """
    from oomguard.units import parse_size

    context.obj = parse_size(max_rss)


run_app.command("prepare")(prepare_command)
