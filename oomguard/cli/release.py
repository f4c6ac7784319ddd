"""`oomguard release PID`: flags in, one call, the result shown."""

from __future__ import annotations

from typing import Annotated

import typer

from oomguard.cli.commands import at_least


def release_command(
    pid: Annotated[int, at_least(1, "PID", "The process of oomguard run, or one of its job's.")],
    max_rss: Annotated[
        str | None,
        typer.Option("--max-rss", metavar="SIZE", help="Its new budget. Default: the one that the run suggested."),
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="End it instead: SIGTERM, then SIGKILL after its --grace.")
    ] = False,
    allow_swap: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="How much of it may be swapped out, or max; after oomguard swap, for example."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Continue or end a job that is frozen at its budget.

    The job was started by oomguard run --on-limit hold.

    Example: oomguard release 4711 --max-rss 20G
    """
    from oomguard.cli.showing import show
    from oomguard.supervision.release import release

    released = release(pid, max_rss=max_rss, stop=stop, allow_swap=allow_swap)
    show(released, as_json=as_json)
