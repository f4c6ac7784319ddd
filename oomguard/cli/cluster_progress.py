"""What the driver of a cluster shows while its tasks run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oomguard.cli.run_events import say
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.preparation.cluster.ray_tasks import ClusterState

_EVERY_SECONDS = 2.0


class ClusterProgress:
    """A line every two seconds where something changed."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._began = self._said_at = time.monotonic()
        self._said = ""

    def __call__(self, state: ClusterState) -> None:
        """Say how far it is, if it is time."""
        now = time.monotonic()
        if now - self._said_at < _EVERY_SECONDS and state.done < state.units:
            return
        self._said_at = now
        rate = format_size(state.input_bytes / max(now - self._began, 0.001))
        line = (
            f"{state.done:,} of {state.units:,} units, {state.running} running, {len(state.nodes)} nodes so far, "
            f"{rate}/s, memory at most {format_size(state.peak)} of {format_size(self._budget)}"
        )
        if state.slowest[0] >= 0:
            line += f", slowest unit {state.slowest[0]} ({state.slowest[1]:.0f} s)"
        if state.lost:
            line += f", tasks lost and done again: {state.lost}"
        if state.failed:
            line += f", units failed: {state.failed}"
        if line != self._said:
            say(line)
        self._said = line
