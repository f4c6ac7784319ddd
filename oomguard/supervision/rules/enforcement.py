"""Who is to hold a job to its budget: the ways, best first, and what is said of those that were not to be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from oomguard.errors import BadInput
from oomguard.units import format_size

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
