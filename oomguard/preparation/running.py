"""The part of a run in which the workers encode the inputs into a sink."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import OomguardError, Stopped
from oomguard.kernel.process import stop_on_signals
from oomguard.preparation.engines.pipeline import MemoryMeter, Pipeline, PipelineState
from oomguard.records import dataclass
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from oomguard.preparation.engines.events import PrepareEvents
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.worker_pool import WorkerPool
    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.sink_thread import Sink
    from oomguard.preparation.writing.token_sink import TokenSink
    from oomguard.supervision.own_budget import RunBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A job whose budget is open and whose workers start."""

    job: Job
    budget: RunBudget
    slots: Slots
    workers: WorkerPool
    events: PrepareEvents
    stack: ExitStack  # closes what is opened
    checkpoint_seconds: float


def encode_into(run: Run, sink: TokenSink) -> PipelineState:
    """Encode what is left of the inputs. Raises: OomguardError; what was done before is kept."""
    job, budget = run.job, run.budget
    asked = run.stack.enter_context(stop_on_signals())
    try:
        state = run_pipeline(job, budget, run.slots, run.workers, sink, run.events, asked)
        sink.finish()
        if job.options.shuffle is not None:
            _heed(asked)  # half of the work comes behind this
    except Stopped as stop:
        sink.checkpoint()
        name = asked() or signal.SIGINT.name
        size = sink.totals.input_bytes
        when = f"after {format_size(size)}; what was done is kept" if size else "before anything was done"
        stopped = Stopped(f"by {name} {when}", do=stop.do)
        stopped.exit_status = 128 + signal.Signals[name]
        raise stopped from stop
    except OomguardError:
        # What came before the bad place is kept, so that the next run begins there.
        try_checkpoint(sink)
        raise
    return replace(state, peak=max(state.peak, budget.measure()))


def _heed(asked: Callable[[], str | None]) -> None:
    if asked() is not None:
        raise Stopped("stopped on request", do="run the same command again: it resumes from here")


def run_pipeline(
    job: Job,
    budget: RunBudget,
    slots: Slots,
    workers: WorkerPool,
    sink: Sink,
    events: PrepareEvents,
    asked: Callable[[], str | None],
    *,
    lines_before: Callable[[], int] = lambda: 0,
) -> PipelineState:
    """Work until the input ends; `asked` names the signal that asked to stop. Raises: as Pipeline.run."""
    meter = MemoryMeter(budget=budget.limit, measure=budget.measure, clock=time.monotonic)
    pipeline = Pipeline(
        job,
        slots,
        workers,
        sink,
        meter,
        oom_kills=budget.oom_kills,
        stop_requested=lambda: asked() is not None,
        on_state=events.on_state,
        lines_before=lines_before,
    )
    state = pipeline.run()
    return replace(state, peak=max(state.peak, meter.look()))


def try_checkpoint(sink: TokenSink) -> None:
    """Take a checkpoint if that can be. The disk may be what is wrong: then the last checkpoint stands."""
    try:
        sink.checkpoint()
    except OomguardError:
        return
