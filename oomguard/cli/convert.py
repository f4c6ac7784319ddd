"""`oomguard convert`: flags in, one call, the result shown."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from oomguard.cli.commands import ENCODINGS, at_least, choice
from oomguard.cli.showing import show
from oomguard.preparation.writing.formats.table import FORMATS


def convert_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of shards, oomguard's or another's.")],
    format: Annotated[  # noqa: A002 - the name of the flag
        str, choice(tuple(FORMATS), "The format to write; as for prepare.", "--format")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder for the new shards. Default: FOLDER-FORMAT.")
    ] = None,
    shard_tokens: Annotated[
        int | None, at_least(1, "N", "Tokens in a shard. Default: as in FOLDER, if it says so.", "--shard-tokens")
    ] = None,
    block_size: Annotated[
        int | None, at_least(1, "N", "Tokens in a block of litdata, mds and arrow.", "--block-size")
    ] = None,
    last_shard: Annotated[
        str,
        choice(("keep", "fold"), "A last shard that is not full: keep it; or fold it into the shard before."),
    ] = "keep",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What the shards' names begin with.")] = None,
    encoding: Annotated[
        str | None,
        choice(
            ENCODINGS,
            "The tokenizer. Default: what the manifest says.",
        ),
    ] = None,
    eot_token: Annotated[
        int | None,
        at_least(0, "ID", "The id that ends each document, where no manifest says it.", "--eot-token"),
    ] = None,
    lossy: Annotated[bool, typer.Option("--lossy", help="Allow what the format cannot keep to be lost.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Start over instead of resuming.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
) -> None:
    """Write shards again in another format, without tokenizing.

    The tokens and document ends are the same. What a format cannot keep is refused without --lossy. After a stop or a
    kill the same command resumes where it was.

    Example: oomguard convert data/mine --format megatron
    """
    from oomguard.preparation.conversion import ConvertOptions, convert
    from oomguard.preparation.conversion_screen import render

    options = ConvertOptions(
        folder=folder,
        format=format,
        out=out or folder.with_name(f"{folder.resolve().name}-{format}"),
        name=name,
        shard_tokens=shard_tokens,
        block_size=block_size,
        last_shard=last_shard,
        encoding=encoding,
        eot_token=eot_token,
        lossy=lossy,
        restart=restart,
    )
    show(convert(options), as_json=as_json, render=render)
