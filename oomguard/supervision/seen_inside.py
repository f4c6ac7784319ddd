"""What is read from inside the processes of a held job: where their code stands, and what the memory of others is."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_arenas, parse_smaps
from oomguard.stacks.pystack import is_python, read_python_stacks
from oomguard.stacks.source import with_source_lines
from oomguard.supervision.rules.user_code import first_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from oomguard.formats.proc import MemoryShare
    from oomguard.kernel.model import ProcessFacts, ProcessStack
    from oomguard.supervision.growth.ledger import GrowthLedger
    from oomguard.supervision.model import GrownLine

_MOST_MAPS = 3
_MOST_SHARES = 6
_LONGEST_READ_SECONDS = 0.5


def read_code(
    processes: Sequence[ProcessFacts], ledger: GrowthLedger | None, grown: Sequence[GrownLine]
) -> tuple[tuple[ProcessStack, ...], dict[int, str]]:
    """The stacks of the processes, in the order in which they are shown; and of those that were not read, why not."""
    pids = [process.pid for process in processes]
    sizes = {process.pid: process.unreclaimable for process in processes}
    if ledger is None:
        reading = read_python_stacks(pids)
        return tuple(first_shown(with_source_lines(reading.stacks), {}, [], sizes)), reading.unread
    reading = read_python_stacks(pids, frames=ledger.frames)
    stacks = with_source_lines(reading.stacks, ledger.sources)
    working = {pid: thread for pid in pids if (thread := ledger.frames.thread(pid))}
    return tuple(first_shown(stacks, working, [(line.file, line.line) for line in grown], sizes)), reading.unread


def read_maps(
    processes: Sequence[ProcessFacts], root: Path = Path("/"), *, clock: Callable[[], float] = time.monotonic
) -> dict[int, tuple[MemoryShare, ...]]:
    """Of the largest that run no Python, what holds their memory; nothing of those for which there is no time left."""
    largest = processes[0].unreclaimable if processes else 0
    others = [
        process.pid
        for process in processes
        if process.unreclaimable > largest // 4 and not is_python(process.pid, root=root)
    ]
    until = clock() + _LONGEST_READ_SECONDS
    return {pid: _maps(root / f"proc/{pid}/smaps", until, clock) for pid in others[:_MOST_MAPS]}


def read_arenas(
    processes: Sequence[ProcessFacts], root: Path = Path("/"), *, clock: Callable[[], float] = time.monotonic
) -> tuple[int, ...]:
    """What the arenas of the largest process's threads hold, each; none if to read that would take long."""
    for process in processes[:1]:
        path = root / f"proc/{process.pid}/smaps"
        with suppress(OSError), path.open(encoding="utf-8", errors="replace") as smaps:
            lines = _lines_in_time(smaps, clock() + _LONGEST_READ_SECONDS, clock)
            return tuple(size for size in parse_arenas(lines) if size)
    return ()


def _lines_in_time(file: TextIO, until: float, clock: Callable[[], float]) -> Iterator[str]:
    """Raises: TimeoutError. Tens of thousands of mappings take the kernel a second, and the job is held meanwhile."""
    while line := file.readline():
        if clock() > until:
            raise TimeoutError
        yield line


def _maps(path: Path, until: float, clock: Callable[[], float]) -> tuple[MemoryShare, ...]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as smaps:
            return tuple(parse_smaps(_lines_in_time(smaps, until, clock))[:_MOST_SHARES])
    except OSError:
        return ()
