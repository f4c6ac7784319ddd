"""What the supervisor has to say of its job in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oomguard.supervision.held_job import Snapshot
    from oomguard.supervision.sampling import JobSamples


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
