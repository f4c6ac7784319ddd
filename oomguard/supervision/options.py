"""What is asked for when a job is run under a budget, and whom the supervisor tells what happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from oomguard.errors import BudgetTooSmall
from oomguard.kernel.model import LEAST_BUDGET
from oomguard.supervision.rules.enforcement import BudgetRequest, Choice
from oomguard.units import format_size, parse_percentage, parse_size

if TYPE_CHECKING:
    from oomguard.kernel.model import OpenInput
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.model import Snapshot
    from oomguard.supervision.rules.enforcement import Enforcement

OnLimit = Literal["stop", "hold", "kill"]

_OF_AVAILABLE_PERCENT = 80  # where no budget was given: the rest is for others, and for what comes later


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run a command. Sizes in bytes."""

    command: tuple[str, ...]
    max_rss: int
    enforce: Choice = "auto"
    on_limit: OnLimit = "stop"
    grace_seconds: float = 10.0
    swap_max: int | None = 0  # how much may be swapped out; None: no limit
    wait_seconds: float = 0.0  # how long to stay after the command has ended, while something that it started runs
    report: str | None = None  # where the report is written: the reaper adds what happens later
    keeps_itself: bool = False  # a job of ours, which keeps its budget itself: the hard limit is the budget

    @property
    def request(self) -> BudgetRequest:
        """What is asked of a backend; a job that may be held is frozen below its hard limit, and needs a reserve."""
        return BudgetRequest(
            size=self.max_rss,
            choice=self.enforce,
            swap_max=self.swap_max,
            keeps_itself=self.keeps_itself and self.on_limit != "hold",
        )


def read_budget(text: str) -> int:
    """Read a budget: a size, or a percentage of what is available now to a new job.

    Raises: BadInput if it is neither; BudgetTooSmall.
    """
    if text.strip().endswith("%"):
        percentage = parse_percentage(text)
        from oomguard.kernel.machine import read_headroom

        return read_headroom().available * percentage // 100
    budget = parse_size(text)
    if budget < LEAST_BUDGET:
        raise BudgetTooSmall(
            f"--max-rss {text} is {format_size(budget)}, and a process that only starts needs "
            f"{format_size(LEAST_BUDGET)}",
            do="--max-rss 12G",
        )
    return budget


def usual_budget() -> tuple[int, str]:
    """The budget of a job that was given none, and where that number comes from, for people."""
    from oomguard.kernel.machine import read_headroom

    room = read_headroom()
    size = max(room.available * _OF_AVAILABLE_PERCENT // 100, LEAST_BUDGET)
    return size, f"{_OF_AVAILABLE_PERCENT} % of {format_size(room.available)}: {room.limited_by}"


class RunEvents(Protocol):
    """What happens while a job runs."""

    def begins(self, enforcement: Enforcement) -> None:
        """The job is inside of its limits, and begins now."""

    def forecast(self, forecast: Forecast, read: OpenInput) -> None:
        """The input will not fit: once in a run."""

    def held(self, held: Snapshot, *, waits: bool, suggested: int) -> None:
        """The job is held; if it `waits`, until it is released, for instance with `suggested` bytes."""

    def released(self, budget: int) -> None:
        """It continues with another budget."""

    def stays_held(self, why: str) -> None:
        """It could not continue with the budget that somebody gave it."""


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
