"""Progress of `prepare`, here and on a cluster, on standard error."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oomguard.cli.console import ProgressLine, say
from oomguard.cli.run_events import say as say_of_run
from oomguard.preparation.engines.events import PrepareEvents
from oomguard.units import format_clock, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.cluster.ray_tasks import ClusterState
    from oomguard.preparation.engines.pipeline import PipelineState
    from oomguard.preparation.job import Job
    from oomguard.supervision.own_budget import RunBudget

_JSON_SECONDS = 1.0
_LISTED = 10
_MEASURED = "measured but not enforced"


@contextmanager
def show_events(*, quiet: bool, as_json: bool = False) -> Iterator[PrepareEvents]:
    """Give the events that show progress until the block ends, for people or (`as_json`) for programs."""
    if quiet:
        yield PrepareEvents()
        return
    if as_json:
        lines = _JsonLines()
        try:
            yield PrepareEvents(on_start=lines.start, on_state=lines.update)
        finally:
            lines.stop()
        return
    reporter = _Reporter()
    try:
        yield PrepareEvents(on_start=reporter.start, on_state=reporter.update)
    finally:
        reporter.line.close()


class _JsonLines:
    """One JSON object a second, and one at the end. Sizes are in bytes."""

    def __init__(self) -> None:
        self._began = self._next = time.monotonic()
        self._total: int | None = None
        self._last: PipelineState | None = None

    def start(self, job: Job, _: RunBudget, __: int) -> None:
        """Note how much there is to read; None where that is not known."""
        sizes = [source.size for source in job.sources]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)

    def update(self, state: PipelineState) -> None:
        """Say how far it is, if the last time is a second ago."""
        self._last = state
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _JSON_SECONDS
            self._say(state, now)

    def stop(self) -> None:
        """Say how far it came."""
        if self._last is not None:
            self._say(self._last, time.monotonic())

    def _say(self, state: PipelineState, now: float) -> None:
        totals = state.totals
        line = {
            "schema": "oomguard.prepare_progress/1",
            "seconds": round(now - self._began, 3),
            "bytes_read": state.bytes_read,
            "bytes_to_read": self._total,
            "text_bytes": totals.input_bytes,
            "documents": totals.documents,
            "tokens": totals.tokens,
            "workers": state.workers,
            "memory": state.memory,
            "peak_memory": state.peak,
            "restarted_workers": state.restarts,
            "shuffled_tokens": state.shuffled,
        }
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()


class _Reporter:
    def __init__(self) -> None:
        self.line = ProgressLine()
        self._total: int | None = None
        self._began = time.monotonic()
        self._done_before = 0
        self._read_before: int | None = None  # by an earlier run, or before the first update
        self._budget = 0

    def start(self, job: Job, budget: RunBudget, done_before: int) -> None:
        """Say what is read, under which budget, and what enforces it."""
        enforced = _MEASURED if budget.enforced_by == "measurement" else f"enforced by {budget.enforced_by}"
        workers = f"{job.budget.workers} {'worker' if job.budget.workers == 1 else 'workers'}"
        engine = "" if job.needs.native else f" with {job.resolved.spec.reference}, some 30 times slower"
        say(f"budget {format_size(budget.limit)} ({budget.explanation}), {enforced}; {workers}{engine}", wrap=False)
        if budget.enforced_by == "measurement" and not budget.notes:
            say("note: oomguard run --max-rss SIZE prepare ... lets the kernel enforce a budget", wrap=False)
        for note in (*budget.notes, *job.notes):
            say(f"note: {note}", wrap=False)
        for source in job.sources[:_LISTED]:
            size = "" if source.size is None else f"  {format_size(source.size)}"
            say(f"reading {source.path}{size}", wrap=False)
        if len(job.sources) > _LISTED:
            say(f"and {len(job.sources) - _LISTED} more")
        if done_before:
            say(f"resuming after {format_size(done_before)}")
        sizes = [source.size for source in job.sources]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)
        self._done_before = done_before
        self._budget = budget.limit
        self._began = time.monotonic()
        self.line.show("starting", done=0, total=self._total)

    def update(self, state: PipelineState) -> None:
        """Show how far it is."""
        self.line.show(self._status(state, time.monotonic()), done=state.bytes_read, total=self._total)

    def _status(self, state: PipelineState, now: float) -> str:
        done = state.totals.input_bytes
        if not done:
            return "starting"
        memory = f"memory {format_size(state.memory)} of {format_size(self._budget)}"
        if state.shuffled is not None:
            return f"{state.shuffled / 1e6:,.1f} M tokens shuffled, {memory}"
        seconds = now - self._began
        rate = (done - self._done_before) / seconds if seconds > 0 else 0.0
        parts = [f"{format_size(done)} read", f"{format_size(rate)}/s", f"{state.totals.tokens / 1e6:,.1f} M tokens"]
        if self._read_before is None:
            self._read_before = state.bytes_read
        if self._total:
            parts[0] = f"{100 * state.bytes_read // self._total}%"
        speed = (state.bytes_read - self._read_before) / seconds if seconds > 0 else 0.0
        if self._total and speed > 0:
            parts.append(f"{format_clock((self._total - state.bytes_read) / speed)} left")
        parts.append(memory)
        if state.restarts:
            parts.append(f"{state.restarts} restarts")
        return ", ".join(parts)


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
            f"{state.done:,} of {state.units:,} {state.what}, {state.running} running, "
            f"{len(state.nodes)} nodes so far, {rate}/s, "
            f"memory at most {format_size(state.peak)} of {format_size(self._budget)}"
        )
        if state.slowest[0] >= 0:
            line += f", slowest unit {state.slowest[0]} ({state.slowest[1]:.0f} s)"
        if state.lost:
            line += f", tasks lost and done again: {state.lost}"
        if state.failed:
            line += f", units failed: {state.failed}"
        if state.waits_for:
            line += f"; waiting for {state.waits_for}"
        if line != self._said:
            say_of_run(line)
        self._said = line
