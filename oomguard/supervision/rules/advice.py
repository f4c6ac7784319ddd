"""From what was seen of a held job, what its user can do: each line follows from a fact, and names it."""

from __future__ import annotations

import re
import shlex
from statistics import median
from typing import TYPE_CHECKING

from oomguard.supervision.rules.cures import accumulates, cure_of
from oomguard.supervision.rules.user_code import is_helper, is_library, user_frame
from oomguard.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.kernel.model import OpenInput, ProcessFacts, StackFrame
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.growth.model import GrownLine
    from oomguard.supervision.held_job import Snapshot

_PREPARED = (".txt", ".jsonl", ".parquet")
_PACKED = (".gz", ".zst", ".xz", ".bz2")
_SWAP_MARGIN = 1.1
_PACKAGE = re.compile(r"/(?:site|dist)-packages/(\w+)|/lib(?:64)?/python3[^/]*/(\w+)")
_POOL = "/multiprocessing/pool.py"


def advise(
    held: Snapshot, line: tuple[Forecast, OpenInput] | None, *, machine_available: int | None
) -> tuple[str, ...]:
    """Say what would help, the change in the program first.

    `line` is memory against the position in the input, where it was a straight line; `machine_available` what the
    machine has left beside the job. Units: bytes.
    """
    advice = [
        *_change_the_line(held),
        *_do_not_copy(held),
        *_prepare_instead(held),
        *_fewer_processes(held),
        *_files_in_memory(held),
        *size_by_flag(held.processes[:1], held.budget),
        *_more_memory(held, line, machine_available),
    ]
    return tuple(dict.fromkeys(advice))


def _change_the_line(held: Snapshot) -> list[str]:
    """The line in which it grew, or else where it stands: what to write instead of the call that is there."""
    if any(grown.file.endswith(_POOL) for grown in held.grown[:1]):  # in the threads that a pool has in its parent
        return [cure_of("pool.imap(", frozenset())]
    places = [(grown.line, grown.source, _entries(held, (grown.file, grown.line))) for grown in _most_grown(held)]
    if not places:
        frame = user_frame(held.stacks[0].frames) if held.stacks else None
        if frame is None:
            return []
        places = [(frame.line, frame.source, _entries(held, (frame.file, frame.line)))]
    for number, source, entries in places:
        if cure := cure_of(source, entries):
            return [f"line {number}: {cure}"]
        if accumulates(source) and held.shmem < held.unreclaimable // 2:
            return [f"line {number} accumulates its results: write each batch to disk and drop it"]
    return []


def _most_grown(held: Snapshot) -> list[GrownLine]:
    """The user's lines that a third of the growth was in, if most of the growth was seen."""
    return [
        grown
        for grown in held.grown
        if grown.line and not is_library(grown.file) and grown.grew_bytes * 3 >= held.grown_since > held.budget // 10
    ]


def _entries(held: Snapshot, place: tuple[str, int]) -> frozenset[tuple[str, str]]:
    """The functions of libraries that were called from that line, as (package, function)."""
    found: set[tuple[str, str]] = set()
    for stack in held.stacks:
        at = next((n for n, frame in enumerate(stack.frames) if (frame.file, frame.line) == place), 0)
        found |= {(_package(frame), frame.function.rpartition(".")[2]) for frame in stack.frames[max(0, at - 3) : at]}
    return frozenset(found)


def _package(frame: StackFrame) -> str:
    found = _PACKAGE.search(frame.file)
    return (found[1] or found[2] or "") if found is not None else ""


def _do_not_copy(held: Snapshot) -> list[str]:
    if held.copied < held.unreclaimable // 4:
        return []
    told = (
        f"{format_size(held.copied)} of it are copies that forked children made of their parent's memory: to use a "
        "Python object writes its reference count, which copies its page. A numpy array or an Arrow table is shared "
        "uncopied; or give each child only its part"
    )
    return [told]


def _prepare_instead(held: Snapshot) -> list[str]:
    for opened in held.inputs[:1]:
        name = opened.path.lower()
        for packed in _PACKED:
            name = name.removesuffix(packed)
        if name.endswith(_PREPARED):
            budget = max(held.budget // MIB, 256)
            return [f"to tokenize this file instead: oomguard run --max-rss {budget}M prepare {_quoted(opened.path)}"]
    return []


def equal_workers(processes: Sequence[ProcessFacts]) -> list[ProcessFacts]:
    """The children of one process that hold as much as each other; [] if there are no such, or only one.

    Parents, and the helpers that multiprocessing starts beside its workers, are not of them.
    """
    parents = {process.parent_pid for process in processes}
    by_parent: dict[int, list[ProcessFacts]] = {}
    for process in processes:
        if process.pid not in parents and not is_helper(process.command):
            by_parent.setdefault(process.parent_pid, []).append(process)
    largest = max(by_parent.values(), key=lambda group: sum(each.unreclaimable for each in group), default=[])
    if len(largest) < 2:
        return []
    middle = median(each.unreclaimable for each in largest)
    if max(each.unreclaimable for each in largest) >= 2 * middle:
        return []
    return [each for each in largest if each.unreclaimable * 2 > middle]


def _fewer_processes(held: Snapshot) -> list[str]:
    alike = equal_workers(held.processes)
    together = sum(process.unreclaimable for process in alike)
    if len(alike) < 2 or together < held.unreclaimable // 2 or held.copied * 3 > held.unreclaimable:
        return []
    each = together // len(alike)
    return [f"{len(alike)} processes hold about {format_size(each)} each: run fewer at a time"]


def _files_in_memory(held: Snapshot) -> list[str]:
    if held.shmem < held.unreclaimable // 4:
        return []
    files = [(path, size) for path, size in held.files_in_memory if not path.startswith("/memfd:")]
    if sum(size for _, size in files) * 2 < held.shmem:
        told = (
            f"{format_size(held.shmem)} of it are shared memory without a file (mmap, memfd): it counts until it is "
            "unmapped, and a file on disk that is mapped instead does not"
        )
        return [told]
    names = ", ".join(_quoted(path) for path, _ in files[:2])
    return [f"{format_size(held.shmem)} of it are files in memory ({names}): tmpfs and /dev/shm count, a disk does not"]


def size_by_flag(processes: Sequence[ProcessFacts], budget: int) -> list[str]:
    """For programs that size their heap by the limit that they find: the flag that says how large it is to be."""
    told: list[str] = []
    for process in processes:
        program = process.command[0].rpartition("/")[2] if process.command else process.name
        if program == "java":
            told.append(
                "java takes a quarter of the memory limit that it finds for its heap: say how much it may have, "
                f"java -Xmx{max(budget * 3 // 4 // MIB, 1)}m (or JAVA_TOOL_OPTIONS), a quarter less than --max-rss"
            )
        elif program in ("node", "nodejs"):
            told.append(
                "node sizes its heap by the memory that it finds: "
                f"NODE_OPTIONS=--max-old-space-size={max(budget * 3 // 4 // MIB, 1)} lets it collect garbage before "
                "the budget, and says so in JavaScript's terms if that is not enough"
            )
    return told[:1]


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
