"""What a run tells while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.engines.pipeline import PipelineState
    from oomguard.preparation.job import Job
    from oomguard.supervision.own_budget import RunBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareEvents:
    """Callbacks: what a caller may want to see while prepare() runs."""

    on_start: Callable[[Job, RunBudget, int], None] = lambda *_: None  # with the bytes done by an earlier run
    on_state: Callable[[PipelineState], None] = lambda _: None
