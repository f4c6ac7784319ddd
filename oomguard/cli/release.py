"""`oomguard release PID`: let a held job go on, or end it."""

from __future__ import annotations

from typing import Annotated

import typer


def release_command(
    pid: Annotated[int, typer.Argument(metavar="PID", help="The process of `oomguard run`, or one of its job.", min=1)],
    max_rss: Annotated[
        str | None,
        typer.Option("--max-rss", metavar="SIZE", help="Its new budget. Left out: what its screen suggested."),
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="End it instead: SIGTERM, and SIGKILL after its --grace.")
    ] = False,
    allow_swap: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Let as much of it be swapped out, or max; after oomguard swap, for instance."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Let a job that `oomguard run --on-limit hold` holds at its budget go on with more, or end it.

    Example: oomguard release 4711 --max-rss 20G
    """
    from oomguard.cli.showing import show
    from oomguard.supervision.release import release

    show(release(pid, max_rss=max_rss, stop=stop, allow_swap=allow_swap), as_json=as_json)
