"""How a tokenizer's memory grows with the text: the one encoder of a run says so, whose tokens go nowhere.

It is an encoder of the very kind that a run has, fed by the same reader: a tokenizer alone, in a process of its own,
reuses memory that an encoder has other uses for, and seems to grow half as fast.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import Stopped
from oomguard.preparation.engines.governor import Governor
from oomguard.preparation.engines.pipeline import Pipeline, PipelineState
from oomguard.preparation.engines.starting import open_slots, start_nursery
from oomguard.preparation.writing.token_sink import Totals

if TYPE_CHECKING:
    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.token_sink import EncodedPiece

_NEVER = 1 << 62
_EVERY = 1 << 20  # bytes of text between two points that are noted


class _Nowhere:
    """A sink for tokens that nobody wants."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.position: dict[str, Any] = {}

    def take(self, piece: EncodedPiece) -> None:
        """Forget it."""


def watch_growth(job: Job, *, seconds: float, most_text: int, most_memory: int) -> list[tuple[int, int]]:
    """Encode the job's input from its beginning with one tokenizer that is never exchanged, and note how it grows.

    Gives points (text, memory), in bytes and in the order of the text. It ends after so many seconds of encoding or
    bytes of either. Raises: OomguardError for what is wrong with the input.
    """
    alone = replace(job, budget=replace(job.budget, workers=1, learn=_NEVER, growth=_NEVER))
    points: list[tuple[int, int]] = []
    until = float("inf")

    def note(state: PipelineState) -> None:
        nonlocal until
        text = state.totals.input_bytes
        if text and not points:
            until = time.monotonic() + seconds  # it has started
        if text - (points[-1][0] if points else 0) >= _EVERY:
            points.append((text, max(0, state.learned)))

    def is_enough() -> bool:
        text, memory = points[-1] if points else (0, 0)
        return text >= most_text or memory > most_memory or time.monotonic() > until

    with ExitStack() as stack:
        slots = open_slots(alone, stack)
        nursery = start_nursery(slots, stack)
        governor = Governor(budget=job.budget.budget, measure=lambda: 0, clock=time.monotonic)
        pipeline = Pipeline(
            alone,
            slots,
            nursery,
            _Nowhere(),
            governor,
            oom_kills=lambda: 0,
            stop_requested=is_enough,
            on_state=note,
        )
        with suppress(Stopped):
            note(pipeline.run())
    return points
