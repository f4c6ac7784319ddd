"""The flags that a budget has, of `run` and of `prepare`: read, joined, and made options of."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from oomguard.cli.commands import choice
from oomguard.errors import BadInput
from oomguard.records import dataclass
from oomguard.supervision.options import (
    CHOICES,
    OLD_NAMES,
    Choice,
    OnLimit,
    RunOptions,
    read_budget,
    read_choice,
    usual_budget,
)
from oomguard.units import parse_size

_LONGEST_NUMBER = 20
_LONGEST_GRACE_SECONDS = 86_400
_FOR_EVER = "inf"
_ON_LIMIT: tuple[OnLimit, ...] = ("stop", "hold", "kill")
_MAX_RSS_VARIABLE, _REPORT_VARIABLE = "OOMGUARD_MAX_RSS", "OOMGUARD_REPORT"

MAX_RSS = typer.Option(
    "--max-rss",
    metavar="SIZE",
    help="The budget: 12G (= 12GiB, 2**30 bytes each), 12GB, or a percentage of the memory available now, such as 80%. "
    f"Default: ${_MAX_RSS_VARIABLE}.",
)
MAX_RSS_OR_USUAL = typer.Option(
    "--max-rss",
    metavar="SIZE",
    help=f"The budget, as for run. Default: ${_MAX_RSS_VARIABLE}, else 80% of the memory available now.",
)
ON_LIMIT = choice(
    _ON_LIMIT,
    "At the budget, after the stacks have been read: stop the job (SIGTERM, then SIGKILL), hold it (until oomguard "
    "release, or the keys r and s), or kill it. Default: stop.",
)
GRACE = typer.Option(metavar="SECONDS", help="Time from SIGTERM to SIGKILL. Default: 10.")
ENFORCE = choice(
    CHOICES,
    "What enforces the budget. Default: auto, the best available.",
    aliases=OLD_NAMES,
)
ALLOW_SWAP = typer.Option(metavar="[=SIZE]", help="Allow the job to use swap, up to SIZE. Default: no swap.")
WAIT = typer.Option(
    metavar="[=SECONDS]",
    help="When the command has ended, wait until everything that it started has ended too, for SECONDS at most.",
)
REPORT = typer.Option(metavar="FILE", help=f"Write the report to FILE as JSON. Default: ${_REPORT_VARIABLE}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFlags:
    """What was given; None: nothing."""

    max_rss: str | None = None
    on_limit: str | None = None
    grace: str | None = None
    enforce: str | None = None
    allow_swap: str | None = None
    report: str | None = None
    wait: str | None = None
    as_json: bool = False  # the report, on standard error
    quiet: bool = False

    @property
    def are_given(self) -> bool:
        """Whether any was."""
        return self != RunFlags()

    def joined(self, other: RunFlags) -> RunFlags:
        """Both together, for `run FLAGS prepare FLAGS`. Raises: BadInput where they contradict each other."""
        both: dict[str, Any] = {}
        for field in fields(self):
            ours, theirs = getattr(self, field.name), getattr(other, field.name)
            if ours and theirs and ours != theirs and not _same_size(field.name, ours, theirs):
                flag = f"--{field.name.replace('_', '-')}"
                raise BadInput(
                    f"{flag} is given twice, with different values: {ours} for run, {theirs} for prepare",
                    do=f"give one {flag}",
                )
            both[field.name] = ours or theirs
        return RunFlags(**both)

    def with_environment(self) -> RunFlags:
        """Take from the environment what was not given.

        A report's variable is taken out of it: a run within this one would write to the same file.
        """
        report = os.environ.pop(_REPORT_VARIABLE, None)
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        given["max_rss"] = self.max_rss or os.environ.get(_MAX_RSS_VARIABLE) or None
        given["report"] = self.report or report or None
        return RunFlags(**given)


def _same_size(name: str, first: Any, second: Any) -> bool:
    if name != "max_rss" or "%" in f"{first}{second}":
        return False
    return read_budget(first) == read_budget(second)


def allow_swap_alone(args: list[str]) -> list[str]:
    """Take --allow-swap without a size as all of it, and --wait without a time as for ever."""
    alone = {"--allow-swap": "--allow-swap=max", "--wait": f"--wait={_FOR_EVER}"}
    end = args.index("--") if "--" in args else len(args)
    return [alone.get(arg, arg) for arg in args[:end]] + args[end:]


def read_options(command: tuple[str, ...], flags: RunFlags, *, keeps_itself: bool = False) -> tuple[RunOptions, str]:
    """Make options of flags; and say where the budget comes from. Raises: BadInput, BudgetTooSmall."""
    max_rss, explanation = usual_budget() if flags.max_rss is None else (read_budget(flags.max_rss), "--max-rss")
    swap = flags.allow_swap
    options = RunOptions(
        command=command,
        max_rss=max_rss,
        enforce=_read_enforce(flags.enforce),
        on_limit=next((each for each in _ON_LIMIT if each == flags.on_limit), "stop"),
        grace_seconds=_read_seconds(flags.grace or "10"),
        swap_max=0 if swap is None else None if swap == "max" else parse_size(swap),
        keeps_itself=keeps_itself,
        wait_seconds=_read_wait(flags.wait),
        report=None if flags.report is None else str(Path(flags.report).absolute()),
    )
    return options, explanation


def _read_enforce(text: str | None) -> Choice:
    return "auto" if text is None else read_choice(text)


def _read_wait(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        seconds = float(text[:_LONGEST_NUMBER])
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise BadInput(f'--wait "{text}" is not a number of seconds', do="--wait, or --wait=600")
    return seconds


def _read_seconds(text: str) -> float:
    try:
        seconds = float(text[:_LONGEST_NUMBER])
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_GRACE_SECONDS:
        raise BadInput(f'--grace "{text}" is not a number of seconds', do="--grace 30, or 0 for none")
    return seconds


def need_max_rss(command: tuple[str, ...] | None) -> tuple[str, str]:
    """What to say to somebody who gave no budget, and what to do: a number that fits this machine."""
    import shlex

    from oomguard.kernel.machine import read_headroom
    from oomguard.supervision.rules.advice import suggest_max_rss
    from oomguard.units import format_size

    room = read_headroom()
    budget = suggest_max_rss(room.available)
    rest = f"-- {shlex.join(command)}" if command else "..."
    return (
        f"a run needs a budget, and {format_size(room.available)} is available now ({room.limited_by})",
        f"oomguard run --max-rss {budget} {rest}",
    )
