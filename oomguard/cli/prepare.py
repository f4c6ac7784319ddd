"""`oomguard prepare`: flags in, one call, the result shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oomguard.cli.commands import at_least, choice
from oomguard.cli.showing import show


def prepare_command(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT...]",
            help="Files (.txt .jsonl .parquet; text and jsonl also .gz .zst .xz .bz2), folders, globs, - for "
            "standard input. None: the corpus files of the current folder.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder for the shards.")] = Path("tokens"),
    format: Annotated[  # noqa: A002 - the name of the flag
        str,
        choice(
            ("nanogpt", "npy", "llmc"),
            "nanogpt: train.bin and val.bin; npy: for build-nanogpt; llmc: for llm.c and modded-nanogpt.",
        ),
    ] = "nanogpt",
    encoding: Annotated[
        str, choice(("gpt2", "r50k_base", "p50k_base", "cl100k_base", "o200k_base"), "The tokenizer.")
    ] = "gpt2",
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME",
            help="In place of --encoding: a tokenizer.json, tekken.json or .tiktoken file, or a model on the Hub.",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How a .tiktoken file's text is split: "
            "r50k | cl100k | llama3 | qwen | qwen3.5 | o200k | tekken. Known files need none.",
        ),
    ] = None,
    eot_token: Annotated[
        str | None,
        typer.Option(metavar="NAME|ID", help="The token between documents. Default: the tokenizer's end-of-text."),
    ] = None,
    workers: Annotated[
        int | None,
        at_least(1, "N", "Worker processes. Default: one for each CPU, as far as the budget allows.", "--workers"),
    ] = None,
    shard_tokens: Annotated[
        int | None, at_least(1, "N", "Tokens in a shard of npy and llmc. Default: 100000000.", "--shard-tokens")
    ] = None,
    val_fraction: Annotated[
        str | None,
        typer.Option(
            metavar="F",
            help="Share of the documents (of a text without --separator: its end) for validation; 0 for none. "
            "Default: 0.0005 for nanogpt; the whole first shard for npy and llmc.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What the shards' names begin with. Default: edufineweb (npy), fineweb (llmc)."
        ),
    ] = None,
    separator: Annotated[
        str,
        typer.Option(metavar="TEXT", help=r"What divides documents in a text file, such as '<|endoftext|>' or '\n\n'."),
    ] = "",
    text_field: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The field of jsonl or column of parquet with the text. Default: text."),
    ] = None,
    input_format: Annotated[
        str,
        choice(
            ("auto", "text", "jsonl", "parquet"),
            "What all inputs are, whatever their names. auto: by name, else by the first bytes.",
        ),
    ] = "auto",
    eot: Annotated[
        str | None,
        choice(
            ("before", "after", "none"),
            "End-of-text token, before or after each document. Default: after (nanogpt), before (npy, llmc).",
        ),
    ] = None,
    errors: Annotated[
        str,
        choice(
            ("strict", "replace", "skip"),
            "At data that cannot be read: stop; replace bytes by U+FFFD; or skip bytes, lines, rows.",
        ),
    ] = "strict",
    newlines: Annotated[
        str,
        choice(("bytes", "universal"), "universal: CR LF and CR become LF, as with Python's open()."),
    ] = "bytes",
    verify: Annotated[
        str, choice(("sample", "full", "off"), "How much to encode again with tiktoken and compare.")
    ] = "sample",
    restart: Annotated[bool, typer.Option("--restart", help="Start over instead of resuming.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
    progress: Annotated[
        str, choice(("auto", "json"), "Progress on standard error; json: one object a second, for programs.")
    ] = "auto",
) -> None:
    """Turn a corpus into training shards in bounded memory.

    The tokens are exactly tiktoken's. After a stop, a kill or a full disk the same command resumes where it was.

    Example: oomguard run --max-rss 12G prepare train.txt --out data/mine
    """
    from oomguard.cli.prepare_progress import show_events
    from oomguard.preparation.api import plan_prepare, prepare
    from oomguard.preparation.options import PrepareOptions

    options = PrepareOptions(
        inputs=tuple(inputs or ()),
        out=out,
        format=format,  # type: ignore[arg-type]  # resolve_options() checks these words, and says which there are
        encoding=encoding,
        tokenizer=tokenizer,
        pattern=pattern,
        eot_token=eot_token,
        workers=workers,
        shard_tokens=shard_tokens,
        val_fraction=val_fraction,
        name=name,
        separator=separator,
        text_field=text_field,
        input_format=input_format,  # type: ignore[arg-type]  # likewise
        eot=eot,  # type: ignore[arg-type]  # likewise
        errors=errors,  # type: ignore[arg-type]  # likewise
        newlines=newlines,  # type: ignore[arg-type]  # likewise
        verify=verify,  # type: ignore[arg-type]  # likewise
        restart=restart,
    )
    max_rss = context.obj if isinstance(context.obj, int) else None
    if dry_run:
        show(plan_prepare(options, max_rss=max_rss), as_json=as_json)
        return
    with show_events(quiet=quiet, as_json=progress == "json") as events:
        result = prepare(options, max_rss=max_rss, events=events)
    show(result, as_json=as_json, kept="the shards are complete; the same command shows the result again")
