"""What is read from inside the processes of a held job: where their code stands, and what the memory of others is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_arenas, parse_smaps
from oomguard.stacks.pystack import is_python, read_python_stacks
from oomguard.stacks.source import with_source_lines
from oomguard.supervision.rules.user_code import first_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.formats.proc import MemoryShare
    from oomguard.kernel.model import ProcessFacts, ProcessStack
    from oomguard.supervision.growth.ledger import GrowthLedger
    from oomguard.supervision.model import GrownLine

_MOST_MAPS = 3
_MOST_SHARES = 6


def read_code(
    pids: Sequence[int], ledger: GrowthLedger | None, grown: Sequence[GrownLine]
) -> tuple[tuple[ProcessStack, ...], dict[int, str]]:
    """The stacks of the processes, in the order in which they are shown; and of those that were not read, why not."""
    if ledger is None:
        reading = read_python_stacks(pids)
        return tuple(first_shown(with_source_lines(reading.stacks), {}, [])), reading.unread
    reading = read_python_stacks(pids, frames=ledger.frames)
    stacks = with_source_lines(reading.stacks, ledger.sources)
    working = {pid: thread for pid in pids if (thread := ledger.frames.thread(pid))}
    return tuple(first_shown(stacks, working, [(line.file, line.line) for line in grown])), reading.unread


def read_maps(processes: Sequence[ProcessFacts]) -> dict[int, tuple[MemoryShare, ...]]:
    """Of the largest that run no Python, what holds their memory."""
    largest = processes[0].unreclaimable if processes else 0
    others = [
        process.pid for process in processes if process.unreclaimable > largest // 4 and not is_python(process.pid)
    ]
    return {pid: _maps(pid) for pid in others[:_MOST_MAPS]}


def read_arenas(processes: Sequence[ProcessFacts]) -> tuple[int, ...]:
    """What the arenas of the largest process's threads hold, each."""
    for process in processes[:1]:
        with suppress(OSError), Path(f"/proc/{process.pid}/smaps").open(encoding="utf-8", errors="replace") as smaps:
            return tuple(size for size in parse_arenas(iter(smaps.readline, "")) if size)
    return ()


def _maps(pid: int) -> tuple[MemoryShare, ...]:
    try:
        with Path(f"/proc/{pid}/smaps").open(encoding="utf-8", errors="surrogateescape") as smaps:
            return tuple(parse_smaps(iter(smaps.readline, ""))[:_MOST_SHARES])
    except OSError:
        return ()
