"""Start a job under the best backend to be had: it is inside of its limits before it executes anything."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

from oomguard.kernel.cgroup.limits import limits_around, machine_limit
from oomguard.kernel.prctl import become_subreaper
from oomguard.kernel.proc import ProcessTree, ProcFiles
from oomguard.supervision.backends.choose import describe, find_place
from oomguard.supervision.options import BudgetRequest, Enforcement
from oomguard.supervision.orphans import end_orphans, find_orphans, name_orphans
from oomguard.supervision.reaper import Program, start_reaper
from oomguard.supervision.started_job import StartedJob

_DESCRIPTORS = 24  # that a supervisor opens at most, at its start or while it takes a snapshot


def start_job(
    program: Program, request: BudgetRequest, *, mask: set[int] | None = None, cleans: bool = True
) -> StartedJob:
    """Fork `program` under the budget that is requested. `mask`: the signal mask that it gets.

    What earlier runs left, whose supervisor and reaper were killed, is ended first if it `cleans`.

    Raises: MemcgUnavailable if the request leaves no way; OSError if there are no descriptors or processes to be had.
    Nothing is left of the job then.
    """
    _need_descriptors()
    bystanders = frozenset(ProcessTree(os.getpid(), with_root=False).pids())
    become_subreaper()
    ended = (
        _end_orphans() if cleans else ""
    )  # before the place is looked for: a cgroup that is empty then is removed there
    place = find_place(request, machine_limit(), around=limits_around)
    try:
        reaper = start_reaper(program, clean_up=place.close, mask=mask if mask is not None else set())
    except BaseException:
        place.close()
        raise
    try:
        backend = place.take_in(reaper.job_pid, reaper.pid, bystanders)
    except BaseException:
        reaper.abort()
        place.close()
        raise
    return StartedJob(reaper=reaper, backend=backend, enforcement=_with_note(describe(backend, place), ended))


def _end_orphans() -> str:
    orphans = find_orphans()
    if not orphans:
        return ""
    left = end_orphans(orphans)
    told = f"an earlier run's supervisor and reaper were killed; ended what it had left: {name_orphans(orphans)}"
    return f"{told}; still there: {name_orphans(left)}" if left else told


def _with_note(enforcement: Enforcement, note: str) -> Enforcement:
    return replace(enforcement, notes=(*enforcement.notes, note)) if note else enforcement


def probe_enforcement(asked: int) -> Enforcement:
    """Say how a job of `asked` bytes would be held here, by trying it with a command that never begins."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGINT, signal.SIGTERM})
    try:  # a signal comes when the cgroup is gone
        job = start_job(["true"], BudgetRequest(size=asked), cleans=False)
        job.abort()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return job.enforcement


def _need_descriptors() -> None:
    """Fail before there is a job, not when a snapshot of it is to be taken, or it cannot be seen. Raises: OSError."""
    if (refusal := ProcFiles().refusal()) is not None:
        raise refusal  # /proc is not mounted
    opened: list[int] = []
    try:
        for _ in range(_DESCRIPTORS):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # noqa: PERF401 - those before a failure too
    finally:
        for fd in opened:
            os.close(fd)
