"""What a person sees of a run, all of it on standard error: the command has the rest of the terminal for itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from oomguard.cli import console
from oomguard.cli.console import tell
from oomguard.supervision.options import Silence

if TYPE_CHECKING:
    from oomguard.kernel.model import OpenInput
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.model import Snapshot
    from oomguard.supervision.options import Enforcement


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
        from oomguard.supervision.screens import released_line

        say(released_line(budget))

    def stays_held(self, why: str) -> None:
        """It does not."""
        say(f"it stays frozen: {why}")


class ShowEvents(ShowHeld):
    """Says what happens, one line each."""

    def begins(self, enforcement: Enforcement) -> None:
        """Name the budget and who enforces it."""
        say(enforcement.budget_line())
        for note in enforcement.notes:
            say(f"note: {note}")

    def forecast(self, forecast: Forecast, read: OpenInput) -> None:
        """Warn early."""
        from oomguard.supervision.screens import forecast_line

        say(forecast_line(forecast, read))


def laid_out(shown: Any) -> str:
    """As text of the terminal's width."""
    from oomguard.cli.showing import screen

    return screen(shown)


def say(text: str) -> None:
    """One thing of what happens to a job, among what the job itself says."""
    console.say(text, prefix="oomguard: ")
