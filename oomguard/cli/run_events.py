"""What a person sees of a run, all of it on standard error: the command has the rest of the terminal for itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.cli.standard_error import tell
from oomguard.errors import BadInput
from oomguard.supervision.api import RunOptions, read_budget
from oomguard.supervision.rules.choice import read_choice
from oomguard.text import printable
from oomguard.units import format_size, parse_size

if TYPE_CHECKING:
    from oomguard.kernel.proc.model import OpenInput
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.held_job import Snapshot
    from oomguard.supervision.model import RunOutcome
    from oomguard.supervision.rules.choice import Enforcement
    from oomguard.supervision.run_record import OnLimit

_LONGEST_NUMBER = 20
_LONGEST_GRACE_SECONDS = 86_400
_ON_LIMIT: tuple[OnLimit, ...] = ("stop", "hold", "kill")


def need_max_rss(command: tuple[str, ...] | None) -> str:
    """What to say to somebody who gave no budget: a number that would do."""
    import shlex

    from oomguard.kernel.machine.headroom import read_headroom
    from oomguard.supervision.rules.advice import suggest_max_rss

    room = read_headroom()
    budget = suggest_max_rss(room.available)
    rest = f"-- {shlex.join(command)}" if command else "..."
    return (
        f"a run needs a budget. {format_size(room.available)} are available now ({room.limited_by}): "
        f"oomguard run --max-rss {budget} {rest}"
    )


def read_options(command: tuple[str, ...], max_rss: str, **flags: Any) -> RunOptions:
    """Make options of flags. Raises: BadInput, BudgetTooSmall."""
    on_limit = next((each for each in _ON_LIMIT if each == flags["on_limit"]), None)
    if on_limit is None:
        raise BadInput(f'--on-limit "{flags["on_limit"]}" is nothing to do', do=f"--on-limit {' | '.join(_ON_LIMIT)}")
    swap = flags["allow_swap"]
    return RunOptions(
        command=command,
        max_rss=read_budget(max_rss),
        enforce=read_choice(flags["enforce"]),
        on_limit=on_limit,
        grace_seconds=_read_seconds(flags["grace"]),
        swap_max=0 if swap is None else None if swap == "max" else parse_size(swap),
    )


def _read_seconds(text: str) -> float:
    try:
        seconds = float(text[:_LONGEST_NUMBER])
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_GRACE_SECONDS:
        raise BadInput(f'--grace "{text}" is not a number of seconds', do="--grace 30, or 0 for none")
    return seconds


class ShowEvents:
    """Says what happens, one line each."""

    def __init__(self, *, quiet: bool) -> None:
        """With `quiet`, only that the job is held."""
        self._quiet = quiet

    def begins(self, enforcement: Enforcement) -> None:
        """Name the budget and who enforces it."""
        if self._quiet:
            return
        _say(f"budget {format_size(enforcement.budget)} (--max-rss), enforced by {enforcement.way}")
        for line in enforcement.lines():
            _say(line, indent="  ")

    def forecast(self, forecast: Forecast, read: OpenInput) -> None:
        """Warn early."""
        from oomguard.supervision.growth.forecast import ASSUMPTION

        if self._quiet:
            return
        _say(
            f"warning: at the end of {read.path} it would hold about {format_size(forecast.at_end)}, more than the "
            f"budget: {ASSUMPTION} ({forecast.read_fraction:.0%} read)"
        )

    def held(self, held: Snapshot, *, waits: bool, suggested: int) -> None:
        """Show where a job that waits stands; one that is stopped has its report soon."""
        if not waits:
            return
        from oomguard.supervision.screens.held import render_held

        tell(_laid_out(render_held(held, os.getpid(), suggested)) + "\n")

    def released(self, budget: int) -> None:
        """It goes on."""
        _say(f"released: it goes on with a budget of {format_size(budget)}")

    def stays_held(self, why: str) -> None:
        """It does not."""
        _say(f"stays held: {why}")


def show_outcome(outcome: RunOutcome, *, report: str | None, as_json: bool, quiet: bool, **_: Any) -> None:
    """Write the report, and show it. Raises: nothing: what cannot be written does not change the command's status."""
    import json

    text = json.dumps(outcome.to_json())
    unwritten = None if report is None else _write_report(Path(report), text + "\n")
    if as_json:
        tell(text + "\n")
    elif not quiet or unwritten is not None or outcome.stopped_by in ("budget", "kernel"):
        tell(_laid_out(outcome.render()) + "\n")
        if outcome.left_behind:
            _say(f"{outcome.left_behind} processes that it started go on in the background, under the same budget")
    if unwritten is not None:
        _say(f'warning: cannot write the report to "{report}": {unwritten}')


def _write_report(path: Path, text: str) -> str | None:
    """Write it whole or not at all; gives why not."""
    try:
        with path.open("w", encoding="utf-8") as file:
            is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            try:
                file.write(text)
                file.flush()
            except OSError:
                if is_file and not path.is_symlink():
                    path.unlink()  # half a report, or none, would be taken for one
                raise
    except OSError as error:
        return error.strerror or str(error)
    return None


def _laid_out(shown: Any) -> str:
    from oomguard.cli.showing import screen

    return screen(shown)


def _say(text: str, *, indent: str = "") -> None:
    """One thing, in lines of the terminal's width; a word is never broken, so that a command can be pasted."""
    import shutil
    import textwrap

    lines = textwrap.wrap(
        f"oomguard: {indent}{printable(text)}",
        shutil.get_terminal_size().columns,
        subsequent_indent=" " * (len("oomguard: ") + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
    tell("\n".join(lines) + "\n")
