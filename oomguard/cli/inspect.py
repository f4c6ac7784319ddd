"""`oomguard inspect`: flags in, one call, the result shown."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from oomguard.cli.commands import ENCODINGS, choice
from oomguard.cli.showing import show


def inspect_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of shards, oomguard's or another's.")],
    encoding: Annotated[
        str | None,
        choice(
            ENCODINGS,
            "The tokenizer. Default: what the manifest says.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
) -> None:
    """Say what a folder of shards holds, and check it.

    Tokens, documents, ids that the tokenizer does not have, sha256 against the manifest, the first document as text.
    Exit status 1 if an id is out of range or a file is not as it was written.

    Example: oomguard inspect data/mine
    """
    from oomguard.preparation.inspection import inspect

    result = inspect(folder, encoding=encoding)
    show(result, as_json=as_json)
    if not result.is_sound:
        raise typer.Exit(1)
