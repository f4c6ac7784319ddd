"""What a person sees of a run, all of it on standard error: the command has the rest of the terminal for itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from oomguard.cli.console import tell
from oomguard.supervision.options import Silence
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.kernel.model import OpenInput
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.model import Snapshot
    from oomguard.supervision.outcome import RunOutcome
    from oomguard.supervision.rules.enforcement import Enforcement


class ShowHeld(Silence):
    """Says only that the job is held, and what became of that."""

    def held(self, held: Snapshot, *, waits: bool, suggested: int) -> None:
        """Show where a job that waits stands; one that is stopped has its report soon."""
        if not waits:
            return
        from oomguard.supervision.screens import render_held

        tell(laid_out(render_held(held, os.getpid(), suggested)) + "\n")

    def released(self, budget: int) -> None:
        """It continues."""
        say(f"released: it continues with a budget of {format_size(budget)}")

    def stays_held(self, why: str) -> None:
        """It does not."""
        say(f"it stays frozen: {why}")


class ShowEvents(ShowHeld):
    """Says what happens, one line each."""

    def begins(self, enforcement: Enforcement) -> None:
        """Name the budget and who enforces it."""
        say(f"budget {format_size(enforcement.budget)} (--max-rss), {enforcement.first_line()}")
        for note in enforcement.notes:
            say(f"note: {note}")

    def forecast(self, forecast: Forecast, read: OpenInput) -> None:
        """Warn early."""
        from oomguard.supervision.growth.forecast import ASSUMPTION

        say(
            f"warning: heading for about {format_size(forecast.at_end)} by the end of {read.path}, more than the "
            f"budget ({forecast.read_fraction:.0%} read; {ASSUMPTION})"
        )


def show_json(text: str) -> None:
    """The report, for programs."""
    tell(text + "\n")


def show_outcome(outcome: RunOutcome) -> None:
    """The report, for people."""
    tell(laid_out(outcome.render()) + "\n")
    if outcome.left_behind:
        are = "process that it started is" if outcome.left_behind == 1 else "processes that it started are"
        say(f"{outcome.left_behind} {are} still running, under the same budget (--wait stays until the end)")


def laid_out(shown: Any) -> str:
    """As text of the terminal's width."""
    from oomguard.cli.showing import screen

    return screen(shown)


def say(text: str, *, indent: str = "") -> None:
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
