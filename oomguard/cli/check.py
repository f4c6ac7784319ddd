"""`oomguard check`: flags in, one call, the result shown."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from oomguard.cli.showing import show


def check_command(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="A Python script. It is read, never run.")],
    data: Annotated[
        str | None,
        typer.Option("--input", metavar="FILE", help="What it will work on: a file or a folder. Says whether it fits."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
) -> None:
    """Find the lines of a script that hold its input in memory.

    For each: why, how much, and what to write instead.

    Exit status 1 when it does not fit in this machine.

    Example: oomguard check prepare.py --input train.txt
    """
    from oomguard.script_analysis.api import check_script

    result = check_script(script, data)
    show(result, as_json=as_json)
    if result.fits is False:
        raise typer.Exit(1)
