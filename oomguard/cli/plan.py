"""`oomguard plan`: flags in, one call, the result shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oomguard.cli.showing import show


def plan_command(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="As for `oomguard prepare`, but no -.")],
    max_rss: Annotated[
        str | None,
        typer.Option(
            "--max-rss", metavar="SIZE", help="The budget: 12G (= 12GiB) or 12GB. Default: what is left here."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder for the shards.")] = Path("tokens"),
    format: Annotated[str, typer.Option(help="nanogpt | npy | llmc.")] = "nanogpt",  # noqa: A002 - the name of the flag
    encoding: Annotated[str, typer.Option(help="gpt2 | r50k_base | p50k_base | cl100k_base | o200k_base.")] = "gpt2",
    workers: Annotated[int | None, typer.Option(help="Encoder processes.")] = None,
    separator: Annotated[str, typer.Option(metavar="TEXT", help="What divides documents in a text file.")] = "",
    text_field: Annotated[str, typer.Option(metavar="NAME", help="The field or column with the text.")] = "text",
    calibrate: Annotated[
        bool, typer.Option("--calibration/--no-calibration", help="Try the job on parts of the input, some seconds.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on standard output.")] = False,
) -> None:
    """Say how `prepare` would do here: tokens, disk, memory, time; and what the usual other ways would need.

    Example: oomguard plan train.txt --max-rss 12G
    """
    from oomguard.estimation.api import plan
    from oomguard.preparation.options import PrepareOptions
    from oomguard.units import parse_size

    options = PrepareOptions(
        inputs=tuple(inputs),
        out=out,
        format=format,  # type: ignore[arg-type]  # resolve_options() checks these words
        encoding=encoding,
        workers=workers,
        separator=separator,
        text_field=text_field,
    )
    budget = parse_size(max_rss) if max_rss is not None else None
    show(plan(options, max_rss=budget, calibrate=calibrate), as_json=as_json)
