"""`oomguard prepare` as its flags say: on a cluster, or here below a supervisor, and the result shown."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from oomguard.cli.run_job import run_job
from oomguard.cli.showing import show
from oomguard.records import dataclass

if TYPE_CHECKING:
    from oomguard.cli.cluster_engines import ClusterFlags
    from oomguard.cli.run_flags import RunFlags
    from oomguard.preparation.api import PrepareOptions

_TELLS_ITSELF = 128 << 20  # bytes: with as much a job gets so far that it can say what it needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What is to be shown."""

    dry_run: bool
    as_json: bool
    quiet: bool
    progress_json: bool


def prepare_as_asked(
    options: PrepareOptions,
    asked: ClusterFlags,
    flags: RunFlags,
    outer: RunFlags | None,
    command: tuple[str, ...],
    showing: Showing,
) -> None:
    """Do it, and exit. `outer` are the flags of the `run` that it stands behind; `command` is what a report shows.

    Raises: OomguardError.
    """
    if asked.leaves_this_machine:
        from oomguard.cli.cluster import run_planned

        run_planned(options, asked, (flags if outer is None else outer.joined(flags)).max_rss, as_json=showing.as_json)
        return
    function = partial(
        _do,
        options,
        showing=replace(showing, quiet=showing.quiet or (outer is not None and outer.quiet)),
        planned=asked if asked.job is not None else None,
    )
    sys.exit(run_job(command, outer, flags, function, check=partial(_check, options, planned=asked.job is not None)))


def _do(
    options: PrepareOptions,
    *,
    showing: Showing,
    planned: ClusterFlags | None,
) -> None:
    """The job, below its supervisor."""
    from oomguard.cli.prepare_progress import show_events
    from oomguard.preparation.api import prepare
    from oomguard.preparation.dry_run import plan_prepare

    if planned is not None:
        from oomguard.cli.cluster import run_planned

        run_planned(options, planned, None, as_json=showing.as_json)
        return
    if showing.dry_run:
        planned_run = plan_prepare(options)
        show(planned_run, as_json=showing.as_json)
        if not planned_run.is_possible:
            sys.exit(1)
        return
    with show_events(quiet=showing.quiet, as_json=showing.progress_json) as events:
        result = prepare(options, events=events)
    show(result, as_json=showing.as_json, kept="the shards are complete; the same command shows the result again")


def _check(options: PrepareOptions, max_rss: int, *, planned: bool) -> None:
    """Whether a small budget is enough: in it, the job itself could not say that it is not. Raises: BudgetTooSmall."""
    if planned or max_rss >= _TELLS_ITSELF:
        return
    from oomguard.preparation.dry_run import plan_prepare

    plan_prepare(options)
