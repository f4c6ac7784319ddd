"""A job of ours under its own budget: what stands between a command and its one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.cli.run_flags import RunFlags


def run_own(command: tuple[str, ...], flags: RunFlags, function: Callable[[], None]) -> int:
    """Run a job of ours that says itself what is wrong with its budget; gives the exit status."""
    from oomguard.cli.run_job import run_job
    from oomguard.supervision.own_budget import accept_budget

    def job(told: str) -> None:
        if told:
            accept_budget(told)
        function()

    return run_job(command, None, flags, job, check=lambda _: None)
