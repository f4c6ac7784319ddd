"""Run a program, or a job of ours, under a budget, show what became of it and write its report."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from oomguard.cli.console import OWN_FAILURE, own_failures_are_told, status_of_job, tell
from oomguard.cli.run_events import ShowEvents, ShowHeld, laid_out, say
from oomguard.cli.run_flags import RunFlags, read_options
from oomguard.supervision.own_budget import accept_budget, expect_budget, is_supervised
from oomguard.supervision.supervise import supervise

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.cli.run_flags import RunFlags
    from oomguard.cli.showing import ReportFile
    from oomguard.supervision.model import RunOutcome

# Run a program, or a job of ours, under a budget, and show what became of it.

_FAILED = 1
_RESUMES = "the same command with a larger --max-rss resumes where this one stopped"


def run_program(command: tuple[str, ...], flags: RunFlags) -> int:
    """Run somebody's program; gives the exit status."""
    with own_failures_are_told(OWN_FAILURE):
        options, _ = read_options(command, flags)
        report = _open_report(flags)
        try:
            events = ShowHeld() if flags.quiet or flags.as_json else ShowEvents()
            outcome = supervise(options, events)
        except BaseException:
            if report is not None:
                report.discard()
            raise
        _show(outcome, flags, report, is_told=not flags.quiet or outcome.stopped_by in ("budget", "kernel"))
    return outcome.exit_code


def run_job(
    command: tuple[str, ...],
    outer: RunFlags | None,
    flags: RunFlags,
    job: Callable[[], None],
    *,
    check: Callable[[int], None] = lambda _: None,
) -> int:
    """Run a job of ours, which keeps its budget itself; gives the exit status.

    Below a supervisor that holds it already (`profile prepare`) it is run as it is.

    `outer` are the flags of the `run` that it stands behind. `job` is called in a process of its own, which has
    accepted what its supervisor tells it. `check` raises what is wrong with a budget, which is expected meanwhile.
    """
    if is_supervised() and outer is None and not flags.are_given:
        job()
        return 0
    status = _FAILED if outer is None else OWN_FAILURE
    with own_failures_are_told(status):
        flags = (flags if outer is None else outer.joined(flags)).with_environment()
        options, explanation = read_options(command, flags, keeps_itself=True)
    with expect_budget(options.max_rss, explanation):
        check(options.max_rss)
    with own_failures_are_told(status):
        report = _open_report(flags)
        try:
            outcome = supervise(
                options,
                ShowHeld(),
                program=lambda told: status_of_job(partial(_below, told, job)),
                explanation=explanation,
            )
        except BaseException:
            if report is not None:
                report.discard()
            raise
        if outcome.stopped_by == "budget":
            outcome = replace(outcome, advice=(_RESUMES,))
        _show(outcome, flags, report, is_told=outcome.stopped_by is not None)
    return outcome.exit_code


def _open_report(flags: RunFlags) -> ReportFile | None:
    if flags.report is None:
        return None
    from oomguard.cli.showing import ReportFile

    return ReportFile(flags.report)


def _show(outcome: RunOutcome, flags: RunFlags, report: ReportFile | None, *, is_told: bool) -> None:
    """Write the report, and show it. Raises: nothing: what cannot be written does not change the command's status."""
    text = json.dumps(outcome.to_json())
    unwritten = None if report is None else report.write(text + "\n")
    if flags.as_json:
        tell(text + "\n")
    elif is_told or unwritten is not None:
        tell(laid_out(outcome.render()) + "\n")
        if outcome.left_behind:
            are = "process that it started is" if outcome.left_behind == 1 else "processes that it started are"
            say(f"{outcome.left_behind} {are} still running, under the same budget (--wait waits for their end)")
    if unwritten is not None:
        say(f'warning: cannot write the report to "{flags.report}": {unwritten}')


def _below(told: str, job: Callable[[], None]) -> None:
    """Do a job below its supervisor, which `told` it its budget; "" where that gave none."""
    if told:
        accept_budget(told)
    job()
