"""What is asked for when a job is run under a budget, who can hold it to that, and who is told what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from oomguard.errors import BadInput, BudgetTooSmall
from oomguard.kernel.model import LEAST_BUDGET
from oomguard.records import dataclass
from oomguard.units import format_size, parse_percentage, parse_size

if TYPE_CHECKING:
    from oomguard.kernel.model import OpenInput
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.model import Snapshot

OnLimit = Literal["stop", "hold", "kill"]

_OF_AVAILABLE_PERCENT = 80  # where no budget was given: the rest is for others, and for what comes later
Choice = Literal["auto", "cgroup", "systemd", "polling"]
Way = Literal["cgroup v2", "systemd scope", "cgroup v1", "polling"]

# As 0.1 called it, in flags and in JSON.
OLD_NAMES: dict[str, str] = {"watchdog": "polling"}
CHOICES: tuple[Choice, ...] = ("auto", "cgroup", "systemd", "polling")
_BEST_FIRST: tuple[Way, ...] = ("cgroup v2", "systemd scope", "cgroup v1", "polling")
_OF_CHOICE: dict[Choice, tuple[Way, ...]] = {
    "auto": _BEST_FIRST,
    "cgroup": ("cgroup v2", "cgroup v1"),
    "systemd": ("systemd scope",),
    "polling": ("polling",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRequest:
    """What somebody wants for a job. Units: bytes."""

    size: int
    choice: Choice = "auto"
    swap_max: int | None = 0  # how much may be swapped out; None: no limit
    keeps_itself: bool = False  # the job keeps its budget itself: then that is the hard limit, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A way that was not to be had."""

    way: Way
    why: str
    do: str  # the one command, or change, that would make it possible


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """Who holds the job to its budget, and how far that goes. Units: bytes."""

    way: Way
    budget: int
    hard_limit: int | None  # None: only the supervisor enforces it
    cannot: str  # what this way does not do, for people; "" if nothing is missing
    notes: tuple[str, ...]
    refusals: tuple[Refusal, ...]  # the better ways, best first

    def budget_line(self) -> str:
        """The budget, and who enforces it."""
        return f"budget {format_size(self.budget)} (--max-rss), {self.first_line()}"

    def first_line(self) -> str:
        """Who enforces the budget, and what that cannot do."""
        return f"enforced by {self.way}{f' ({self.cannot})' if self.cannot else ''}"

    def lines(self) -> list[str]:
        """All there is to know beside the budget and the way, one thing a line."""
        told = [f"{refusal.way} cannot be used: {refusal.why}; to allow it: {refusal.do}" for refusal in self.refusals]
        if self.cannot:
            told.insert(0, self.cannot)
        return [*told, *self.notes]


def read_choice(text: str) -> Choice:
    """Check what `--enforce` was given. Raises: BadInput."""
    for choice in CHOICES:
        if OLD_NAMES.get(text, text) == choice:
            return choice
    raise BadInput(f'--enforce "{text}" is unknown', do=f"--enforce {' | '.join(CHOICES)}")


def ways_to_try(choice: Choice, memory_version: int | None) -> tuple[list[Way], list[Refusal]]:
    """The ways that `choice` allows, best first; and those that need the other cgroup version, refused.

    `memory_version` is the cgroup version that has the memory controller here, None if it is in neither.
    """
    ways = list(_OF_CHOICE[choice])
    refused: list[Refusal] = []
    if memory_version == 1:
        for way in ("cgroup v2", "systemd scope"):
            if way in ways:
                ways.remove(way)
                if not refused:  # the second has the same reason
                    refused.append(
                        Refusal(
                            way=way,
                            why="this kernel has its memory controller on v1",
                            do="boot with cgroup_no_v1=memory systemd.unified_cgroup_hierarchy=1",
                        )
                    )
    elif "cgroup v1" in ways:
        ways.remove("cgroup v1")  # of no use to anybody who has v2, and where there is neither, v2's refusal says so
    return ways, refused


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
            f"--max-rss {text} is {format_size(budget)}, and a process needs {format_size(LEAST_BUDGET)} just to start",
            do="--max-rss 12G",
        )
    return budget


def usual_budget() -> tuple[int, str]:
    """The budget of a job that was given none, and where that number comes from, for people."""
    from oomguard.kernel.machine import read_headroom

    room = read_headroom()
    size = max(room.available * _OF_AVAILABLE_PERCENT // 100, LEAST_BUDGET)
    return size, f"{_OF_AVAILABLE_PERCENT}% of {format_size(room.available)}: {room.limited_by}"


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
