"""`oomguard check`: flags in, one call, the result shown."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from oomguard.cli.showing import show
from oomguard.errors import BadInput, OomguardError
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.script_analysis.model import ScriptCheck

_STATUS = {"fits": 0, "does not fit": 1, "cannot say": 3}
_ERROR = 2


def check_command(
    script: Annotated[
        Path | None, typer.Argument(metavar="SCRIPT", help="A Python script or a notebook. It is read, never run.")
    ] = None,
    module: Annotated[
        str | None,
        typer.Option("-m", metavar="NAME", help="Check what `python -m NAME` would run here, in place of SCRIPT."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="The file or folder that the script will work on; check then says whether it fits.",
        ),
    ] = None,
    text_field: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The field of JSON Lines or tables in --input that holds the text."),
    ] = None,
    pin: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For CI: exit with 1 only if a finding is not in FILE. If FILE does not exist, it is written.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find the lines of a script that hold its input in memory.

    For each line it shows why, how much memory it takes, and what to write instead.

    Exit status: 0 it fits, 1 it does not, 2 an error, 3 it cannot say, because some line could not be
    analyzed.

    Example: oomguard check prepare.py --input train.txt
    """
    from oomguard.script_analysis.api import check_module, check_script

    with _errors_end_with_2():
        if (script is None) == (module is None):
            raise BadInput("name one script, or one module with -m", do="oomguard check prepare.py")
        if module is not None:
            result = check_module(module, data, text_field=text_field)
        else:
            assert script is not None
            result = check_script(script, data, text_field=text_field)
        status = _STATUS[result.verdict] if pin is None else _compare(result, pin)
        show(result, as_json=as_json)
    if status:
        raise typer.Exit(status)


def _compare(result: ScriptCheck, pin: Path) -> int:
    """Say on standard error what is new."""
    from oomguard.script_analysis.pins import new_findings

    new = new_findings(result, pin)
    shown = printable(str(pin))
    if new is None:
        sys.stderr.write(f"pinned {len(result.findings)} findings in {shown}: commit it\n")
        return 0
    for finding in new:
        place = f"{printable(finding.file or result.script)}:{finding.line}"
        sys.stderr.write(f"new: {place}: {finding.rule}: {finding.code}\n")
    if new:
        are, them = ("finding is", "it") if len(new) == 1 else ("findings are", "them")
        next_step = f"to accept {them}, delete {shown} and run the same command again"
        sys.stderr.write(f"{len(new)} {are} not in {shown}; {next_step}\n")
    return 1 if new else 0


@contextmanager
def _errors_end_with_2() -> Iterator[None]:
    """1 means that it does not fit."""
    try:
        yield
    except OomguardError as error:
        error.exit_status = _ERROR
        raise
