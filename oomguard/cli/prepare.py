"""`oomguard prepare`: flags in, one call, the result shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oomguard.cli.commands import ENCODING, EOT_TOKEN, PATTERN, TOKENIZER, Command, at_least, choice
from oomguard.cli.input_flags import INPUT_FORMAT, SHUFFLE
from oomguard.cli.run_flags import (
    ALLOW_SWAP,
    ENFORCE,
    GRACE,
    MAX_RSS_OR_USUAL,
    ON_LIMIT,
    REPORT,
    RunFlags,
    allow_swap_alone,
)
from oomguard.preparation.writing.formats.table import FORMATS, format_help

_GIVEN = "oomguard.prepare.arguments"  # in the context's meta


class PrepareCommand(Command):
    """`prepare` with the arguments that it was given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep them, as a report shows them."""
        ctx.meta[_GIVEN] = tuple(args)
        return super().parse_args(ctx, allow_swap_alone(args))


def prepare_command(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT...]",
            help="Files (.txt .jsonl .json .csv .tsv .tar .wet, also .gz .zst .xz .bz2; .parquet .arrow), folders, "
            "globs, hf:// s3:// gs:// https:// addresses, - for standard input. Default: the corpus files of the "
            "current folder.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The folder for the shards; with --job-only also s3://BUCKET/PREFIX.")
    ] = Path("tokens"),
    format: Annotated[  # noqa: A002 - the name of the flag
        str,
        choice(tuple(FORMATS), format_help()),
    ] = "nanogpt",
    encoding: Annotated[str, ENCODING] = "gpt2",
    tokenizer: Annotated[str | None, TOKENIZER] = None,
    pattern: Annotated[str | None, PATTERN] = None,
    eot_token: Annotated[str | None, EOT_TOKEN] = None,
    workers: Annotated[
        int | None,
        at_least(1, "N", "Worker processes. Default: one for each CPU, as far as the budget allows.", "--workers"),
    ] = None,
    shard_tokens: Annotated[
        int | None,
        at_least(
            1,
            "N",
            "Tokens per shard, for formats that have shards. Default: 100000000 (33554432 for litdata and mds).",
            "--shard-tokens",
        ),
    ] = None,
    last_shard: Annotated[
        str,
        choice(
            ("keep", "fold"), "What to do with a last shard that is not full: keep it, or fold it into the one before."
        ),
    ] = "keep",
    shuffle: Annotated[int | None, SHUFFLE] = None,
    block_size: Annotated[
        int | None,
        at_least(
            1,
            "N",
            "Tokens per block, for litdata, mds and arrow. Default: 2048; for arrow, one document per row.",
            "--block-size",
        ),
    ] = None,
    val_fraction: Annotated[
        str | None,
        typer.Option(
            metavar="F",
            help="Share of the documents (for a text without --separator: its end) for validation; 0 for none. "
            "Default: 0.0005; for npy and llmc the whole first shard.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="First part of the shards' names. Default: edufineweb (npy), fineweb (llmc), tokens (olmo).",
        ),
    ] = None,
    separator: Annotated[
        str,
        typer.Option(metavar="TEXT", help=r"Document separator for text files, such as '<|endoftext|>' or '\n\n'."),
    ] = "",
    text_field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="The field or column with the text: NAME, a.b (nested), a|b (the first that exists); "
            "GLOB=NAME for the inputs that match GLOB; repeat it for others. Default: text.",
        ),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="For a dataset on the Hub: a subset that its card names, or NAME:SPLIT."),
    ] = None,
    cache: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Fetch files from servers into this folder first, and read them from there."
        ),
    ] = None,
    input_format: Annotated[str, INPUT_FORMAT] = "auto",
    input_encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Character encoding of text, jsonl, json, csv and tsv, such as latin-1. Default: utf-8.",
        ),
    ] = None,
    eot: Annotated[
        str | None,
        choice(
            ("before", "after", "none"),
            "End-of-text token, before or after each document. Default: before (npy, llmc), after (others).",
        ),
    ] = None,
    errors: Annotated[
        str,
        choice(
            ("strict", "replace", "skip"),
            "What to do with unreadable data: stop; replace bytes with U+FFFD; or skip bytes, lines, rows.",
        ),
    ] = "strict",
    bad_files: Annotated[
        str,
        choice(
            ("stop", "skip"),
            "What to do with a file that is damaged or holds something else: stop; or keep what comes before the "
            "damage, and continue with the next file.",
        ),
    ] = "stop",
    newlines: Annotated[
        str,
        choice(("bytes", "universal"), "universal: CR LF and CR become LF, as with Python's open()."),
    ] = "bytes",
    verify: Annotated[
        str, choice(("sample", "full", "off"), "How much to encode again with tiktoken and compare.")
    ] = "sample",
    provenance: Annotated[
        bool,
        typer.Option(
            "--provenance",
            help="Write provenance-N.parquet: for each document its source, its byte or row there, and its tokens.",
        ),
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Start over instead of resuming.")] = False,
    extend: Annotated[bool, typer.Option("--extend", help="Add new inputs to the finished shards in --out.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done and stop.")] = False,
    max_rss: Annotated[str | None, MAX_RSS_OR_USUAL] = None,
    on_limit: Annotated[str | None, ON_LIMIT] = None,
    grace: Annotated[str | None, GRACE] = None,
    enforce: Annotated[str | None, ENFORCE] = None,
    allow_swap: Annotated[str | None, ALLOW_SWAP] = None,
    report: Annotated[str | None, REPORT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
    progress: Annotated[
        str, choice(("auto", "json"), "Progress on standard error; json: one object per second, for programs.")
    ] = "auto",
    job_only: Annotated[
        bool, typer.Option("--job-only", help="Divide the job into units for many machines, write --job-file, stop.")
    ] = False,
    job_file: Annotated[
        Path, typer.Option(metavar="FILE", help="With --job-only: the file to write; it is never replaced.")
    ] = Path("job.json"),
    job: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Do the job in FILE, which --job-only wrote.")
    ] = None,
    unit_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Amount of text in each unit. Default: 256M.")
    ] = None,
    cluster: Annotated[
        str | None,
        choice(("ray", "slurm"), "Encode on a cluster; --max-rss is the budget of each task, --workers its processes."),
    ] = None,
    tasks: Annotated[
        int | None,
        at_least(
            1,
            "N",
            "Tasks at a time (ray), elements of the array (slurm). Default: as many as there is room for (ray), 64 "
            "(slurm).",
            "--tasks",
        ),
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The Ray cluster. Default: $RAY_ADDRESS, or this machine.")
    ] = None,
    slurm_args: Annotated[
        str | None, typer.Option(metavar="TEXT", help="More arguments for sbatch, all in one pair of quotes.")
    ] = None,
    print_sbatch: Annotated[
        bool, typer.Option("--print-sbatch", help="Show the sbatch commands instead of running them.")
    ] = False,
) -> None:
    """Turn a corpus into training shards in bounded memory.

    The tokens are exactly tiktoken's. After a stop, a kill or a full disk the same command resumes where it left off.

    Example: oomguard prepare --max-rss 12G train.txt --out data/mine
    """
    from oomguard.cli.cluster_engines import ClusterFlags
    from oomguard.cli.prepare_job import Showing, prepare_as_asked
    from oomguard.preparation.options import PrepareOptions

    options = PrepareOptions(
        inputs=tuple(inputs or ()),
        out=out,
        format=format,
        encoding=encoding,
        tokenizer=tokenizer,
        pattern=pattern,
        eot_token=eot_token,
        workers=workers,
        shard_tokens=shard_tokens,
        block_size=block_size,
        val_fraction=val_fraction,
        name=name,
        separator=separator,
        text_field=tuple(text_field) if text_field else None,
        subset=subset,
        cache=cache,
        input_format=input_format,  # type: ignore[arg-type]  # likewise
        input_encoding=input_encoding,
        bad_files=bad_files,  # type: ignore[arg-type]  # likewise
        eot=eot,  # type: ignore[arg-type]  # likewise
        errors=errors,  # type: ignore[arg-type]  # likewise
        newlines=newlines,  # type: ignore[arg-type]  # likewise
        verify=verify,  # type: ignore[arg-type]  # likewise
        provenance=provenance,
        restart=restart,
        extend=extend,
        last_shard=last_shard,
        shuffle=shuffle,
    )
    asked = ClusterFlags(
        job=job,
        job_only=job_only,
        job_file=job_file,
        unit_size=unit_size,
        cluster=cluster,
        tasks=tasks,
        ray_address=ray_address,
        slurm_args=slurm_args,
        print_sbatch=print_sbatch,
    )
    flags = RunFlags(
        max_rss=max_rss, on_limit=on_limit, grace=grace, enforce=enforce, allow_swap=allow_swap, report=report
    )
    outer = context.obj if isinstance(context.obj, RunFlags) else None
    prepare_as_asked(
        options,
        asked,
        flags,
        outer,
        ("oomguard", "prepare", *context.meta[_GIVEN]),
        Showing(dry_run=dry_run, as_json=as_json, quiet=quiet, progress_json=progress == "json"),
    )
