"""What a supervisor tells while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from oomguard.kernel.model import OpenInput
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.held_job import Snapshot
    from oomguard.supervision.rules.choice import Enforcement


class RunEvents(Protocol):
    """What happens while a job runs."""

    def begins(self, enforcement: Enforcement) -> None:
        """The job is inside of its limits, and begins now."""

    def forecast(self, forecast: Forecast, read: OpenInput) -> None:
        """The input will not fit: once in a run."""

    def held(self, held: Snapshot, *, waits: bool, suggested: int) -> None:
        """The job is held; if it `waits`, until it is released, for instance with `suggested` bytes."""

    def released(self, budget: int) -> None:
        """It goes on with another budget."""

    def stays_held(self, why: str) -> None:
        """It could not go on with the budget that somebody gave it."""


class Silence:
    """Says nothing while a command runs: the outcome does."""

    def begins(self, enforcement: Enforcement) -> None:
        """Nothing is said."""

    def forecast(self, forecast: Forecast, read: OpenInput) -> None:
        """Nothing is said."""

    def held(self, held: Snapshot, *, waits: bool, suggested: int) -> None:
        """Nothing is said."""

    def released(self, budget: int) -> None:
        """Nothing is said."""

    def stays_held(self, why: str) -> None:
        """Nothing is said."""
