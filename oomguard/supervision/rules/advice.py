"""From what was seen of a held job, what its user can do: each line follows from a fact, and names it."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from oomguard.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from oomguard.kernel.model import OpenInput
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.held_job import Snapshot

_WHOLE_READ = re.compile(r"\.(read|readlines|read_text|read_bytes|readall|splitlines)\(\s*\)|\b(json|pickle)\.load\(")
_GROWING = re.compile(r"\.(append|extend|add|update|setdefault)\(|\+=")
_PREPARED = (".txt", ".jsonl", ".parquet")
_PACKED = (".gz", ".zst", ".xz", ".bz2")
_LOOKED_AT = 4  # frames, innermost first
_SWAP_MARGIN = 1.1


def advise(
    held: Snapshot, line: tuple[Forecast, OpenInput] | None, *, machine_available: int | None
) -> tuple[str, ...]:
    """Say what would help, the change in the program first.

    `line` is memory against the position in the input, where it was a straight line; `machine_available` what the
    machine has left beside the job. Units: bytes.
    """
    advice = [
        *_change_the_line(held),
        *_prepare_instead(held),
        *_fewer_processes(held),
        *_files_in_memory(held),
        *_more_memory(held, line, machine_available),
    ]
    return tuple(advice)


def _change_the_line(held: Snapshot) -> list[str]:
    for stack in held.stacks[:1]:
        for frame in stack.frames[:_LOOKED_AT]:
            if _WHOLE_READ.search(frame.source):
                return [
                    (
                        f"line {frame.line} reads all of its input at once: read it in pieces "
                        "(for line in file, or file.read(1 << 20))"
                    )
                ]
            if _GROWING.search(frame.source):
                return [f"line {frame.line} accumulates its results: write each batch to disk and drop it"]
    return []


def _prepare_instead(held: Snapshot) -> list[str]:
    for opened in held.inputs[:1]:
        name = opened.path.lower()
        for packed in _PACKED:
            name = name.removesuffix(packed)
        if name.endswith(_PREPARED):
            budget = max(held.budget // MIB, 256)
            return [f"to tokenize this file instead: oomguard run --max-rss {budget}M prepare {_quoted(opened.path)}"]
    return []


def _fewer_processes(held: Snapshot) -> list[str]:
    alike = [process for process in held.processes if process.unreclaimable > held.unreclaimable // 10]
    if len(alike) < 3:
        return []
    each = sum(process.unreclaimable for process in alike) // len(alike)
    return [f"{len(alike)} processes hold about {format_size(each)} each: run fewer at a time"]


def _files_in_memory(held: Snapshot) -> list[str]:
    if held.shmem < held.unreclaimable // 4:
        return []
    names = ", ".join(_quoted(path) for path, _ in held.files_in_memory[:2])
    where = f" ({names})" if names else ""
    return [f"{format_size(held.shmem)} of it are files in memory{where}: tmpfs and /dev/shm count, a disk does not"]


def _more_memory(held: Snapshot, line: tuple[Forecast, OpenInput] | None, machine_available: int | None) -> list[str]:
    if line is None:
        return []
    need = int(line[0].at_end * _SWAP_MARGIN)
    if need <= held.budget:
        return []
    told = f"the whole input would need about {format_size(line[0].at_end)}, if it is read once"
    room = held.unreclaimable + (machine_available or 0)
    if machine_available is not None and need <= room:
        return [f"{told}: --max-rss {_round_up(need)} is enough, and this machine has it"]
    swap = need - room if machine_available is not None else need - held.budget
    return [f"{told}: oomguard swap --size {_round_up(swap)}, or a machine with {-(-need // GIB)} GiB"]


def _round_up(size: int) -> str:
    return f"{-(-size // GIB)}G" if size >= 4 * GIB else f"{-(-size // MIB)}M"


def _quoted(path: str) -> str:
    return shlex.quote(path)


def suggest_max_rss(available: int) -> str:
    """A budget for a command that was started without one: 80 % of what is available, as --max-rss takes it."""
    return _round_down(int(available * 0.8))


def _round_down(size: int) -> str:
    return f"{size // GIB}G" if size >= 4 * GIB else f"{max(size // MIB, 1)}M"
