"""`oomguard convert` and `oomguard inspect`: saved datasets, read back and written again."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from oomguard.cli.commands import ENCODINGS, at_least, choice
from oomguard.cli.showing import show
from oomguard.errors import BadInput
from oomguard.preparation.writing.formats.table import FORMATS

_Encoding = Annotated[str | None, choice(ENCODINGS, "The tokenizer. Default: what the manifest says.")]


def convert_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder of shards, written by oomguard or another program.")
    ],
    format: Annotated[  # noqa: A002 - the name of the flag
        str, choice(tuple(FORMATS), "The format to write; as for prepare.", "--format")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder for the new shards. Default: FOLDER-FORMAT.")
    ] = None,
    shard_tokens: Annotated[
        int | None,
        at_least(1, "N", "Tokens per shard. Default: as in FOLDER, if that is recorded there.", "--shard-tokens"),
    ] = None,
    block_size: Annotated[
        int | None, at_least(1, "N", "Tokens per block, for litdata, mds and arrow.", "--block-size")
    ] = None,
    last_shard: Annotated[
        str,
        choice(
            ("keep", "fold"), "What to do with a last shard that is not full: keep it, or fold it into the one before."
        ),
    ] = "keep",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="First part of the shards' names.")] = None,
    encoding: _Encoding = None,
    eot_token: Annotated[
        int | None,
        at_least(0, "ID", "The id that ends each document, if no manifest names it.", "--eot-token"),
    ] = None,
    lossy: Annotated[bool, typer.Option("--lossy", help="Allow what the format cannot keep to be lost.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Start over instead of resuming.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Convert shards to another format, without tokenizing again.

    The tokens and document ends are the same. A conversion that would lose something is refused
    without --lossy. After a stop or a kill the same command resumes where it left off.

    Example: oomguard convert data/mine --format megatron
    """
    from oomguard.preparation.conversion import ConvertOptions, convert, render

    beside = folder if folder.name not in ("", "..") else folder.resolve()  # which have no name themselves
    options = ConvertOptions(
        folder=folder,
        format=format,
        out=out or beside.parent / f"{folder.resolve().name}-{format}",
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


def inspect_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder of shards, written by oomguard or another program.")
    ],
    encoding: _Encoding = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Show which document token N belongs to, and where that document came from. N: its number in the "
            "split, or FILE:N in a shard. Needs prepare --provenance.",
        ),
    ] = None,
    document: Annotated[
        int | None,
        at_least(
            0,
            "N",
            "Show where document N came from, and where its tokens are. Needs prepare --provenance.",
            "--document",
        ),
    ] = None,
    split: Annotated[
        str | None, choice(("train", "val"), "With --token N: the split that it is counted in. Default: train.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show what a folder of shards holds, and check it.

    With --token or --document it shows where a token or a document came from; otherwise tokens, documents, ids that
    the tokenizer does not have, sha256 against the manifest, and the first document as text. Exit status 1 if an id is
    out of range or a file differs from the manifest.

    Example: oomguard inspect data/mine
    """
    if token is not None or document is not None:
        _show_trace(folder, token, document, split, as_json=as_json)
        return
    from oomguard.preparation.inspection import inspect

    result = inspect(folder, encoding=encoding)
    show(result, as_json=as_json)
    if not result.is_sound:
        raise typer.Exit(1)


def _show_trace(folder: Path, token: str | None, document: int | None, split: str | None, *, as_json: bool) -> None:
    from oomguard.preparation.tracing import trace_document, trace_token

    if token is not None and document is not None:
        raise BadInput("--token and --document ask for two things", do="leave one of them out")
    if token is not None:
        show(trace_token(folder, token, split=split), as_json=as_json)
    elif document is not None:
        show(trace_document(folder, document), as_json=as_json)
