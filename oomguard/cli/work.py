"""`oomguard work` and `oomguard finish`: one machine's part of a planned job, and its shards."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from oomguard.cli.commands import at_least
from oomguard.cli.run_events import say
from oomguard.cli.run_flags import ENFORCE, MAX_RSS_OR_USUAL, RunFlags
from oomguard.cli.showing import show
from oomguard.errors import BadInput, OomguardError, Stopped
from oomguard.preparation.cluster.slurm_array import usual_task_budget

if TYPE_CHECKING:
    from collections.abc import Iterator

_JOB = typer.Argument(metavar="JOB", help="The file that oomguard prepare --job-only wrote.")
_SHARE = re.compile(r"([0-9]{1,9})/([1-9][0-9]{0,8})")


def work_command(
    job: Annotated[Path, _JOB],
    unit: Annotated[
        int | None,
        at_least(0, "N", "Encode only this unit. Default: every unit that is neither done nor being done.", "--unit"),
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="This is worker I (from 0) of N: each begins with its own units."),
    ] = None,
    workers: Annotated[
        int | None,
        at_least(1, "N", "Worker processes. Default: one for each CPU, as far as the budget allows.", "--workers"),
    ] = None,
    max_rss: Annotated[str | None, MAX_RSS_OR_USUAL] = None,
    enforce: Annotated[str | None, ENFORCE] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each unit on standard error.")] = False,
) -> None:
    """Encode units of a planned job, on any machine.

    The output folder must be on a file system that all machines share, or an S3 bucket. A unit is committed once,
    whole; a unit that fails is named, and does not stop the others.

    Example: oomguard work job.json --unit 17
    """
    if unit is not None and share is not None:
        raise BadInput("--unit and --share both say what to do", do="leave one of them out")
    asked = _read_share(share)
    flags = RunFlags(max_rss=max_rss or usual_task_budget(), enforce=enforce)
    from oomguard.cli.run_job import run_own

    sys.exit(
        run_own(
            ("oomguard", "work", *sys.argv[2:]),
            flags,
            partial(_work, job, unit, asked, workers, as_json=as_json, quiet=quiet),
        )
    )


def finish_command(
    job: Annotated[Path, _JOB],
    part: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Write only the shards of machine I (from 0) of N, while other machines write theirs."
        ),
    ] = None,
    keep_parts: Annotated[bool, typer.Option("--keep-parts", help="Leave the encoded units where they are.")] = False,
    max_rss: Annotated[str | None, MAX_RSS_OR_USUAL] = None,
    enforce: Annotated[str | None, ENFORCE] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write the shards of a job whose units are done.

    They are the same bytes as oomguard prepare writes on one machine. After a stop or a kill the same command resumes
    where it left off. Several machines write them at once with --part 0/N to N-1/N; then oomguard finish without --part
    records all of them. An encoded unit is removed as soon as its tokens are in shards.

    Example: oomguard finish job.json
    """
    asked = None if part is None else _read_share(part, "--part")
    flags = RunFlags(max_rss=max_rss or usual_task_budget(), enforce=enforce)
    from oomguard.cli.run_job import run_own

    function = partial(_finish, job, asked, keep_parts=keep_parts, as_json=as_json)
    sys.exit(run_own(("oomguard", "finish", *sys.argv[2:]), flags, function))


def _work(
    path: Path, unit: int | None, share: tuple[int, int], workers: int | None, *, as_json: bool, quiet: bool
) -> None:
    from oomguard.preparation.cluster.api import Share, work

    result = work(
        path, unit, Share(*share), workers=workers, after_each=lambda done: None if quiet else say(done.line())
    )
    if as_json:
        show(result, as_json=True)
    elif result.is_finished and not quiet:
        say("nothing was done: the job is finished, and its shards are written")
    elif result.elsewhere and not quiet:
        say(f"units that other workers are doing: {result.elsewhere:,}")
    result.require_success()


def _finish(path: Path, part: tuple[int, int] | None, *, keep_parts: bool, as_json: bool) -> None:
    from oomguard.preparation.cluster.api import finish, finish_share, read_job

    with _failure_shown(as_json=as_json):
        if part is None:
            result = finish(read_job(path), keep_parts=keep_parts)
        else:
            done = finish_share(read_job(path), *part, keep_parts=keep_parts)
    if part is None:
        show(result, as_json=as_json)
    elif as_json:
        show(done, as_json=True)
    else:
        print("\n".join(done.lines()))


@contextmanager
def _failure_shown(*, as_json: bool) -> Iterator[None]:
    """Print what goes wrong for programs too, as `work` does: whoever started it may give it more memory."""
    try:
        yield
    except Stopped:
        raise
    except OomguardError as error:
        if as_json:
            show(_Failed(error), as_json=True)
        raise


@dataclass(frozen=True, slots=True)
class _Failed:
    error: OomguardError

    def to_json(self) -> dict[str, object]:
        """For programs."""
        told = {"error": type(self.error).__name__, "what": str(self.error), "do": self.error.do}
        return {"schema": "oomguard.failed/1", "failures": [told]}


def _read_share(text: str | None, flag: str = "--share") -> tuple[int, int]:
    found = _SHARE.fullmatch(text or "0/1")
    if found is None or int(found[1]) >= int(found[2]):
        raise BadInput(
            f'{flag} "{text}" is not I/N, with I from 0 to N-1', do=f"{flag} 0/10 to {flag} 9/10 for ten of them"
        )
    return int(found[1]), int(found[2])
