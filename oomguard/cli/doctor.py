"""`oomguard doctor`: flags in, one call, the result shown."""

from __future__ import annotations

from typing import Annotated

import typer

from oomguard.cli.showing import show


def doctor_command(
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 1 if a check found something to improve.")
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="End processes left behind by runs that were killed, and exit.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check this machine's memory settings before a big job.

    A line marked with ! says what the problem costs a big job, and which command solves it; the other lines are fine.

    Example: oomguard doctor
    """
    from oomguard.machine_report.api import clean as clean_up
    from oomguard.machine_report.api import doctor

    if clean:
        typer.echo("\n".join(clean_up()))
        return
    report = doctor()
    show(report, as_json=as_json)
    if strict and not report.fine:
        raise typer.Exit(1)
