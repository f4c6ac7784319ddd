"""The part of a run in which the workers encode the inputs into a sink."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import OomguardError, Stopped
from oomguard.kernel.process import stop_on_signals
from oomguard.preparation.engines.pipeline import Pipeline
from oomguard.preparation.engines.progress import MemoryMeter, PipelineState
from oomguard.preparation.engines.run import stopped_by
from oomguard.preparation.preconditions import require_some_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.engines.run import Run
    from oomguard.preparation.writing.sink_thread import Sink
    from oomguard.preparation.writing.token_sink import TokenSink


def encode_rest(run: Run, sink: TokenSink) -> PipelineState:
    """Encode what is left of the inputs. Raises: OomguardError; what was done before is kept."""
    asked = run.stack.enter_context(stop_on_signals())
    try:
        state = _work(run, sink, asked)
        sink.finish()
        if run.job.options.shuffle is not None:
            _heed(asked)  # half of the work comes behind this
    except Stopped as stop:
        sink.checkpoint()
        raise stopped_by(asked(), stop, done=sink.totals.input_bytes) from stop
    except OomguardError:
        # What came before the bad place is kept, so that the next run begins there.
        try_checkpoint(sink)
        raise
    require_some_text(sink.totals.tokens)
    return replace(state, peak=max(state.peak, run.budget.measure()))


def encode_all(run: Run, sink: Sink, *, lines_before: Callable[[], int]) -> PipelineState:
    """Encode all of a job's sources into a sink.

    `lines_before` counts the lines before a part of a file, where an error is to name one.
    Raises: OomguardError, as `prepare` does; Stopped on a signal.
    """
    run.events.on_start(run.job, run.budget, 0)
    asked = run.stack.enter_context(stop_on_signals())
    try:
        return _work(run, sink, asked, lines_before=lines_before)
    except Stopped as stop:
        raise stopped_by(asked(), stop) from stop


def _heed(asked: Callable[[], str | None]) -> None:
    if asked() is not None:
        raise Stopped("stopped on request", do="run the same command again: it resumes from here")


def _work(
    run: Run, sink: Sink, asked: Callable[[], str | None], *, lines_before: Callable[[], int] = lambda: 0
) -> PipelineState:
    """Work until the input ends; `asked` names the signal that asked to stop. Raises: as Pipeline.run."""
    budget = run.budget
    meter = MemoryMeter(budget=budget.limit, measure=budget.measure, clock=time.monotonic)
    pipeline = Pipeline(run, sink, meter, stop_requested=lambda: asked() is not None, lines_before=lines_before)
    state = pipeline.run()
    return replace(state, peak=max(state.peak, meter.look()))


def try_checkpoint(sink: TokenSink) -> None:
    """Take a checkpoint if that can be. The disk may be what is wrong: then the last checkpoint stands."""
    try:
        sink.checkpoint()
    except OomguardError:
        return
