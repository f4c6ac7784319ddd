"""The process that watches the children of another, which is in a `with oomguard.budget()` block."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

from oomguard.kernel.proc import ProcessTree
from oomguard.kernel.proc.memory import ForkFamily
from oomguard.supervision.backends.polling import PollingBackend
from oomguard.supervision.model import STOPPED_CODE, RunOutcome
from oomguard.supervision.rules.limits import FASTEST_BYTES_A_SECOND
from oomguard.supervision.sampling import JobSamples

_LEAST_STEP_SECONDS, _LONGEST_STEP_SECONDS = 0.002, 0.1  # a new child must be seen soon


def main() -> None:
    """Watch until the block ends, which standard input tells."""
    parent, max_rss, grace_seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    before = frozenset(ProcessTree(parent, with_root=False).pids())  # this process is one of them
    polling = PollingBackend(max_rss, [])
    polling.watch_below(parent, without=before, family=ForkFamily(parent))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    outcome = _watch(polling, grace_seconds)
    sys.stdout.write(json.dumps(outcome.to_json()))


def _watch(polling: PollingBackend, grace_seconds: float) -> RunOutcome:
    began = time.monotonic()
    samples = JobSamples(polling, began)
    stopped: RunOutcome | None = None
    step_seconds = 0.0
    caller = os.getppid()
    while not select.select([0], [], [], step_seconds)[0] and os.getppid() == caller:
        measure = samples.look()
        headroom = polling.limits.budget - measure.unreclaimable
        step_seconds = min(max(headroom / FASTEST_BYTES_A_SECOND, _LEAST_STEP_SECONDS), _LONGEST_STEP_SECONDS)
        if headroom > 0:
            continue
        outcome = _end_children(polling, samples, began, grace_seconds)
        stopped = stopped or outcome
    if stopped is not None:
        return stopped
    return _outcome(polling, samples, began)


def _end_children(
    polling: PollingBackend, samples: JobSamples, began: float, grace_seconds: float
) -> RunOutcome | None:
    """Hold them, look, and end them; None if they held less after all."""
    from oomguard.supervision.conclude import with_held
    from oomguard.supervision.snapshot import take_snapshot, without_pages_of_the_caller

    polling.freeze()
    if polling.read_memory(exact=True).unreclaimable < polling.limits.budget:
        polling.thaw()
        return None
    held = without_pages_of_the_caller(take_snapshot(polling, began, samples.ledger))
    samples.take(held)
    outcome = with_held(_outcome(polling, samples, began, stopped=True), held, samples)
    polling.signal(signal.SIGTERM)
    polling.thaw()
    until = time.monotonic() + grace_seconds
    while polling.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    polling.kill()
    return outcome


def _outcome(polling: PollingBackend, samples: JobSamples, began: float, *, stopped: bool = False) -> RunOutcome:
    return RunOutcome(
        command=(),
        exit_code=STOPPED_CODE if stopped else 0,
        stopped_by="budget" if stopped else None,
        enforced_by=polling.kind,
        budget=polling.limits.budget,
        hard_limit=None,
        peak_unreclaimable=samples.peak_unreclaimable,
        peak_with_cache=None,
        peak_shmem=samples.peak_shmem,
        largest_process=samples.largest or None,
        peak_at_most=samples.peak_at_most,
        wall_seconds=time.monotonic() - began,
        processes=tuple(samples.processes),
        notes=(polling.cannot,),
    )
