"""How far a run is, and who is told while it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.token_sink import Totals
    from oomguard.supervision.own_budget import RunBudget

_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class MemoryMeter:
    """Measures a run all the time, for its progress and its peak; `measure` gives bytes of unreclaimable memory."""

    budget: int
    measure: Callable[[], int]
    clock: Callable[[], float]
    now: int = 0
    peak: int = 0
    _look_at: float = float("-inf")

    def look_now_and_then(self) -> bool:
        """Measure, if the last time is long enough ago; says whether it was."""
        now = self.clock()
        if now < self._look_at:
            return False
        before = time.thread_time()  # and not the clock: on a busy machine the rest of a short run would go unseen
        self.look()
        # Without a cgroup a look takes 9 ms a GiB: it never costs more than a fiftieth of the time.
        self._look_at = now + max(_LOOK_SECONDS, 50 * (time.thread_time() - before))
        return True

    def look(self) -> int:
        """Measure now."""
        self.now = self.measure()
        self.peak = max(self.peak, self.now)
        return self.now


@dataclass(slots=True, kw_only=True)
class PipelineState:
    """What a progress display shows. Sizes in bytes."""

    totals: Totals
    bytes_read: int  # of the files on disk
    workers: int
    memory: int
    peak: int
    restarts: int
    largest_rss: int
    notes: tuple[str, ...] = ()  # of sources
    shuffled: int | None = None  # tokens that have their place; None: documents are read


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareEvents:
    """Callbacks: what a caller may want to see while prepare() runs."""

    on_start: Callable[[Job, RunBudget, int], None] = lambda *_: None  # with the bytes done by an earlier run
    on_state: Callable[[PipelineState], None] = lambda _: None
