"""Look at a job that is held: who holds the memory, in which line of code, how far in which file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_smaps
from oomguard.kernel.proc.copied_pages import read_copied
from oomguard.kernel.proc.memory import read_processes
from oomguard.kernel.proc.open_files import TmpfsFiles, read_open_inputs
from oomguard.stacks.pystack import is_python, read_python_stacks
from oomguard.stacks.source import with_source_lines
from oomguard.supervision.held_job import Snapshot
from oomguard.supervision.rules.user_code import first_shown

if TYPE_CHECKING:
    from oomguard.formats.proc import MemoryShare
    from oomguard.kernel.model import ProcessFacts
    from oomguard.supervision.backends.base import Backend
    from oomguard.supervision.growth.ledger import GrowthLedger

_MOST_PROCESSES = 200
_MOST_STACKS = 16  # processes whose stacks are read
_MOST_MAPS = 3
_MOST_SHARES = 6


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
    reading = read_python_stacks(read, frames=None if ledger is None else ledger.frames)
    grown = () if ledger is None else ledger.lines()
    stacks = with_source_lines(reading.stacks, None if ledger is None else ledger.sources)
    working = {} if ledger is None else {pid: ledger.frames.thread(pid) for pid in read}
    files = TmpfsFiles()
    files.look(pids)
    return Snapshot(
        seconds=at - began,
        budget=backend.limits.budget,
        unreclaimable=measure.unreclaimable,
        shmem=measure.shmem,
        cache=None if measure.cache is None else max(0, measure.cache - measure.shmem),
        processes=tuple(processes),
        stacks=tuple(
            first_shown(
                stacks,
                {pid: thread for pid, thread in working.items() if thread},
                [(line.file, line.line) for line in grown],
            )
        ),
        unread=reading.unread,
        maps=_maps_of_others(processes),
        inputs=tuple(read_open_inputs(pids)),
        files_in_memory=tuple(files.named()),
        grown=grown,
        grown_since=0 if ledger is None else ledger.since,
        copied=read_copied(processes),
        look_seconds=time.monotonic() - at,
    )


def _maps_of_others(processes: list[ProcessFacts]) -> dict[int, tuple[MemoryShare, ...]]:
    largest = processes[0].unreclaimable if processes else 0
    others = [
        process.pid
        for process in processes[:_MOST_STACKS]
        if process.unreclaimable > largest // 4 and not is_python(process.pid)
    ]
    return {pid: _maps(pid) for pid in others[:_MOST_MAPS]}


def _maps(pid: int) -> tuple[MemoryShare, ...]:
    try:
        with Path(f"/proc/{pid}/smaps").open(encoding="utf-8", errors="surrogateescape") as smaps:
            return tuple(parse_smaps(iter(smaps.readline, ""))[:_MOST_SHARES])
    except OSError:
        return ()
