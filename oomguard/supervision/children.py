"""Who watches the children of a process that is in a `with oomguard.budget()` block: a process of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import WorkerFailed, explain
from oomguard.kernel.proc.files import ProcessTree, ProcFiles
from oomguard.kernel.proc.memory import ForkFamily
from oomguard.kernel.process.commands import own_command
from oomguard.kernel.process.signals import signal_if
from oomguard.supervision.backends.polling import PollingBackend
from oomguard.supervision.model import RunOutcome
from oomguard.supervision.rules.limits import FASTEST_BYTES_A_SECOND
from oomguard.supervision.sampling import JobSamples, with_held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.supervision.model import Snapshot

_LEAST_STEP_SECONDS, _LONGEST_STEP_SECONDS = 0.002, 0.1  # a new child must be seen soon
_STOPPED_CODE = 137


class ChildrenWatcher:
    """The calling process's side."""

    def __init__(self, process: subprocess.Popen[bytes], before: frozenset[int]) -> None:
        """`process` has said that it is ready; the children `before` are not its to watch."""
        self._process = process
        self._owner = os.getpid()
        self._before = before
        self._answer = b""
        # A thread, because the caller may wait for a child that stands still, with nobody left to continue it.
        self._reader = threading.Thread(target=self._read, name="oomguard-budget", daemon=True)
        self._reader.start()

    def finish(self) -> RunOutcome:
        """Let it end, and give what it saw. Raises: WorkerFailed if it is gone."""
        self.close()
        if not self._answer:
            raise WorkerFailed("the process that watches the children ended: nobody held them", do="see the kernel log")
        return RunOutcome.from_json(json.loads(self._answer))

    @property
    def is_ours(self) -> bool:
        """Whether this process began the block, and was not forked in it: that one leaves it, too, and ends nothing."""
        return os.getpid() == self._owner

    def close(self) -> None:
        """Let it end. Raises: nothing."""
        assert self._process.stdin is not None
        if not self.is_ours:
            return
        with suppress(OSError, ValueError):
            # Said, not only closed: what was forked in the block has this end of the pipe, too.
            self._process.stdin.write(b"end\n")
        with suppress(OSError):
            self._process.stdin.close()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._answer = self._process.stdout.read()
        if not self._answer:
            continue_children(self._before | {self._process.pid})


def continue_children(without: frozenset[int]) -> None:
    """SIGCONT to each descendant that is stopped: whoever stopped it cannot do that any more. Raises: nothing."""
    proc = ProcFiles()
    for pid in ProcessTree(os.getpid(), with_root=False, without=without).pids():
        stat = proc.stat(pid)
        if stat is not None and stat.state == "T":
            signal_if(pid, signal.SIGCONT, lambda now, same=stat.start_ticks: now.start_ticks == same)  # type: ignore[misc]  # mypy: a lambda's default


@contextmanager
def watch_children(max_rss: int, grace_seconds: float) -> Iterator[ChildrenWatcher]:
    """Have what the calling process starts in the block watched. Whatever ends the block, nothing stays stopped."""
    before = frozenset(ProcessTree(os.getpid(), with_root=False).pids())
    command = own_command("oomguard.supervision.children", str(os.getpid()), str(max_rss), str(grace_seconds))
    # Unbuffered: the lock of a buffer, which the reader holds, would be held for ever in a process forked meanwhile.
    pipe = subprocess.PIPE
    try:
        if (refusal := ProcFiles().refusal()) is not None:
            raise refusal  # without /proc nothing would be seen of them
        started = subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=0, bufsize=0)
    except OSError as error:
        why = explain(error)
        assert why is not None  # of an OSError there is always something to say
        raise WorkerFailed(f"the process that watches the children did not start: {why}", do=why.do) from error
    with started as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            process.kill()
            raise WorkerFailed("the process that watches the children did not start", do="see its traceback above")
        watcher = ChildrenWatcher(process, before)
        try:
            yield watcher
        finally:
            watcher.close()


def main() -> None:
    """The watcher's side: watch until the block ends, which standard input tells."""
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
    from oomguard.supervision.snapshot import take_snapshot

    polling.freeze()
    if polling.read_memory(exact=True).unreclaimable < polling.limits.budget:
        polling.thaw()
        return None
    held = _without_the_callers_pages(take_snapshot(polling, began, samples.ledger))
    samples.take(held)
    outcome = with_held(_outcome(polling, samples, began, stopped=True), held, samples)
    polling.signal(signal.SIGTERM)
    polling.thaw()
    until = time.monotonic() + grace_seconds
    while polling.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    polling.kill()
    return outcome


def _without_the_callers_pages(held: Snapshot) -> Snapshot:
    """Take off what is in the children's shares and does not count, from each the same: they were forked alike."""
    each = max(0, sum(process.unreclaimable for process in held.processes) - held.unreclaimable)
    each //= len(held.processes) or 1
    processes = [
        replace(process, unreclaimable=max(0, process.unreclaimable - each), exact=False) for process in held.processes
    ]
    return replace(held, processes=tuple(processes)) if each else held


def _outcome(polling: PollingBackend, samples: JobSamples, began: float, *, stopped: bool = False) -> RunOutcome:
    return RunOutcome(
        command=(),
        exit_code=_STOPPED_CODE if stopped else 0,
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
