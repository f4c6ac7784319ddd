"""Look at a job that is held: who holds the memory, in which line of code, how far in which file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_smaps
from oomguard.kernel.proc.memory import read_processes
from oomguard.kernel.proc.open_files import TmpfsFiles, read_open_inputs
from oomguard.stacks.pystack import is_python, read_python_stacks
from oomguard.stacks.source import with_source_lines
from oomguard.supervision.held_job import Snapshot

if TYPE_CHECKING:
    from oomguard.formats.proc import MemoryShare
    from oomguard.kernel.model import ProcessFacts
    from oomguard.supervision.backends.base import Backend

_MOST_PROCESSES = 200
_MOST_STACKS = 16  # processes whose stacks are read
_MOST_MAPS = 3
_MOST_SHARES = 6


def take_snapshot(backend: Backend, began: float) -> Snapshot:
    """Read all that is known of a held job; `began` is when it began, on the monotonic clock. Raises: nothing."""
    at = time.monotonic()
    measure = backend.read_memory(exact=True)
    pids = backend.pids()
    processes = read_processes(pids)[:_MOST_PROCESSES]
    reading = read_python_stacks([process.pid for process in processes[:_MOST_STACKS]])
    files = TmpfsFiles()
    files.look(pids)
    return Snapshot(
        seconds=at - began,
        budget=backend.limits.budget,
        unreclaimable=measure.unreclaimable,
        shmem=measure.shmem,
        cache=None if measure.cache is None else max(0, measure.cache - measure.shmem),
        processes=tuple(processes),
        stacks=with_source_lines(reading.stacks),
        unread=reading.unread,
        maps=_maps_of_others(processes),
        inputs=tuple(read_open_inputs(pids)),
        files_in_memory=tuple(files.named()),
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
