"""What a supervisor tells while it works, and what it has to say of its job in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from oomguard.kernel.proc.model import OpenInput
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.held_job import Snapshot
    from oomguard.supervision.sampling import JobSamples

OnLimit = Literal["stop", "hold", "kill"]


class SupervisorEvents(Protocol):
    """What the supervisor tells while it works."""

    def forecast(self, forecast: Forecast, read: OpenInput) -> None:
        """The input will not fit: once in a run."""

    def held(self, held: Snapshot, *, waits: bool, suggested: int) -> None:
        """The job is held; if it `waits`, until it is released, for instance with `suggested` bytes."""

    def released(self, budget: int) -> None:
        """It goes on with another budget."""

    def stays_held(self, why: str) -> None:
        """It could not go on with the budget that somebody gave it."""


@dataclass(kw_only=True)
class RunRecord:
    """What became of the job. Units: bytes, seconds."""

    status: int = 0  # as waitpid() gives it
    stopped: bool = False  # by the supervisor, at the budget
    refused: bool = False  # memory, by the kernel at the hard limit, before the supervisor had looked
    oom_kills: int = 0
    seconds: float = 0.0
    peak_with_cache: int | None = None
    held: Snapshot | None = None
    left_behind: int = 0  # processes that go on in the background
    samples: JobSamples = field(repr=False)
