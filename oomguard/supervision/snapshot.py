"""Look at a job that is held: who holds the memory, in which line of code, how far in which file."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.kernel.proc.memory import read_copied, read_processes
from oomguard.kernel.proc.open_files import TmpfsFiles, read_open_inputs
from oomguard.supervision.model import Snapshot
from oomguard.supervision.seen_inside import read_arenas, read_code, read_maps

if TYPE_CHECKING:
    from oomguard.supervision.backends.base import Backend
    from oomguard.supervision.growth.ledger import GrowthLedger

_MOST_PROCESSES = 200
_MOST_STACKS = 16  # processes whose stacks are read


def take_snapshot(backend: Backend, began: float, ledger: GrowthLedger | None = None) -> Snapshot:
    """Read all that is known of a held job; `began` is when it began, on the monotonic clock. Raises: nothing.

    `ledger` knows where it grew until now.
    """
    at = time.monotonic()
    measure = backend.read_memory(exact=True)
    pids = backend.pids()
    processes = read_processes(pids)[:_MOST_PROCESSES]
    read = [process.pid for process in processes[:_MOST_STACKS]]
    if ledger is not None:
        ledger.finish([*read, *(pid for pid in pids if pid not in set(read))], measure.unreclaimable)
    grown = () if ledger is None else ledger.lines()
    stacks, unread = read_code(processes[:_MOST_STACKS], ledger, grown)
    files = TmpfsFiles()
    files.look(pids)
    return Snapshot(
        seconds=at - began,
        budget=backend.limits.budget,
        unreclaimable=measure.unreclaimable,
        shmem=measure.shmem,
        cache=None if measure.cache is None else max(0, measure.cache - measure.shmem),
        processes=tuple(processes),
        stacks=stacks,
        unread=unread,
        maps=read_maps(processes[:_MOST_STACKS]),
        inputs=tuple(read_open_inputs(pids)),
        files_in_memory=tuple(files.named()),
        grown=grown,
        grown_since=0 if ledger is None else ledger.since,
        copied=read_copied(processes),
        arenas=read_arenas(processes),
        look_seconds=time.monotonic() - at,
    )


def without_pages_of_the_caller(held: Snapshot) -> Snapshot:
    """Take off what is in the children's shares and does not count, from each the same: they were forked alike."""
    each = max(0, sum(process.unreclaimable for process in held.processes) - held.unreclaimable)
    each //= len(held.processes) or 1
    processes = [
        replace(process, unreclaimable=max(0, process.unreclaimable - each), exact=False) for process in held.processes
    ]
    return replace(held, processes=tuple(processes)) if each else held
