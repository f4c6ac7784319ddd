"""`oomguard plan`: flags in, one call, the result shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from oomguard.cli.commands import ENCODING, EOT_TOKEN, PATTERN, TOKENIZER, at_least, choice
from oomguard.cli.input_flags import INPUT_FORMAT, SHUFFLE
from oomguard.cli.showing import show
from oomguard.errors import BadInput
from oomguard.preparation.writing.formats.table import FORMATS

# Remedies that a run has and plan, which needs an input without faults, has not.
_OF_PREPARE = re.compile(r"--(?:errors|bad-files|input-encoding|newlines)\b")


def plan_command(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="As for prepare, except - (standard input).")],
    max_rss: Annotated[
        str | None,
        typer.Option(
            "--max-rss",
            metavar="SIZE",
            help="The budget: 12G (= 12GiB), 12GB, or a percentage of the memory available now, such as 50%. "
            "Default: 80%.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder for the shards.")] = Path("tokens"),
    format: Annotated[  # noqa: A002 - the name of the flag
        str, choice(tuple(FORMATS), "As for prepare.")
    ] = "nanogpt",
    encoding: Annotated[str, ENCODING] = "gpt2",
    tokenizer: Annotated[str | None, TOKENIZER] = None,
    pattern: Annotated[str | None, PATTERN] = None,
    eot_token: Annotated[str | None, EOT_TOKEN] = None,
    workers: Annotated[int | None, at_least(1, "N", "Worker processes.", "--workers")] = None,
    separator: Annotated[str, typer.Option(metavar="TEXT", help="Document separator for text files.")] = "",
    text_field: Annotated[
        str | None, typer.Option(metavar="NAME", help="The field or column with the text. Default: text.")
    ] = None,
    input_format: Annotated[str, INPUT_FORMAT] = "auto",
    subset: Annotated[str | None, typer.Option(metavar="NAME", help="As for prepare.")] = None,
    shuffle: Annotated[int | None, SHUFFLE] = None,
    untried: Annotated[
        bool,
        typer.Option(
            "--no-calibration",
            help="Do not try the job. Default: try all of a small input, and parts of a larger one.",
        ),
    ] = False,
    _tried: Annotated[bool, typer.Option("--calibration", hidden=True, help="The default.")] = True,  # of 0.1
    cluster: Annotated[
        str | None, choice(("ray", "slurm"), "Plan for a cluster; --max-rss and --workers are for each task.")
    ] = None,
    nodes: Annotated[int | None, at_least(1, "N", "Nodes of the cluster, each like this machine.", "--nodes")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Estimate tokens, disk, memory and time of a prepare job.

    It also says what the usual alternatives would need. The exit status is 1 if the job cannot be done here.

    With --cluster and --nodes it says what the job takes on that many nodes: units, tasks, memory per node, hours.

    Example: oomguard plan train.txt --max-rss 12G
    """
    if (cluster is None) != (nodes is None):
        raise BadInput("--cluster and --nodes go together", do="--cluster ray --nodes 10 --max-rss 2G")
    if cluster is not None and max_rss is None:
        raise BadInput("--cluster needs a budget for each task", do="--max-rss 2G")
    from oomguard.estimation.api import ClusterAsked, plan
    from oomguard.preparation.options import PrepareOptions
    from oomguard.supervision.options import read_budget

    options = PrepareOptions(
        inputs=tuple(inputs),
        out=out,
        format=format,
        encoding=encoding,
        tokenizer=tokenizer,
        pattern=pattern,
        eot_token=eot_token,
        workers=workers,
        separator=separator,
        text_field=text_field,
        input_format=input_format,  # type: ignore[arg-type]  # likewise
        shuffle=shuffle,
        subset=subset,
    )
    budget = read_budget(max_rss) if max_rss is not None else None
    asked = None
    if cluster is not None and nodes is not None:
        asked = ClusterAsked(engine=cluster, nodes=nodes)
    try:
        result = plan(options, max_rss=budget, calibrate=not untried, cluster=asked)
    except BadInput as error:
        if _OF_PREPARE.search(error.do):
            error.do += ": options of prepare, which plan does not take"
        raise
    show(result, as_json=as_json)
    if not result.is_possible:
        raise typer.Exit(1)
