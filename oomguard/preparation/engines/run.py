"""A run that has begun: its job, budget and workers, who is told of it, and what closes what it has opened."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from oomguard.errors import Stopped
from oomguard.preparation.encoding.load_engine import fill_vocabulary
from oomguard.preparation.engines.progress import PrepareEvents
from oomguard.preparation.engines.slots import SlotLayout, Slots
from oomguard.preparation.engines.worker_pool import WorkerPool
from oomguard.records import dataclass
from oomguard.units import format_size

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.job import Job
    from oomguard.supervision.own_budget import RunBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A job whose budget is open and whose workers start."""

    job: Job
    budget: RunBudget
    workers: WorkerPool
    events: PrepareEvents
    stack: ExitStack  # closes what is opened


def start_run(job: Job, budget: RunBudget, stack: ExitStack, *, events: PrepareEvents | None = None) -> Run:
    """Start the workers, which import what they need meanwhile, and tell them all that they share."""
    workers = WorkerPool(job, _open_slots(job, stack), stack)
    if job.vocabulary_fd >= 0:
        fill_vocabulary(job.resolved.spec, job.rank_file, job.vocabulary_fd)
    workers.configure()
    return Run(job=job, budget=budget, workers=workers, events=events or PrepareEvents(), stack=stack)


def stopped_by(name: str | None, stop: Stopped, *, done: int | None = None) -> Stopped:
    """The same with the signal that asked for it, and how many bytes of the input were `done`, if they are kept."""
    name, more = name or signal.SIGINT.name, ""
    if done is not None:
        more = f" after {format_size(done)}; what was done is kept" if done else " before anything was done"
    stopped = Stopped(f"by {name}{more}", do=stop.do)
    stopped.exit_status = 128 + signal.Signals[name]
    return stopped


def _open_slots(job: Job, stack: ExitStack) -> Slots:
    """Make the shared memory, which `stack` closes."""
    layout = SlotLayout(
        longest_piece=job.budget.longest_piece,
        token_bytes=job.resolved.spec.token_bytes,
        slots=job.budget.slots,
        with_origins=job.options.provenance,
    )
    slots = Slots(layout)
    stack.callback(slots.close)
    return slots
