"""What forked children have copied of their parent's memory, by writing to it.

Also a child that only reads Python's objects does so, as each use of one counts its references in it.

A child has the mappings of its parent at the same addresses. What both have there, and the child has for itself alone,
it has copied. Source: Linux Documentation/filesystems/proc.rst, /proc/PID/smaps.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.proc.files import ProcFiles
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.kernel.model import ProcessFacts

_MAPPING = re.compile(r"([0-9a-f]{1,16}-[0-9a-f]{1,16}) \S{4} ")
_SIZE = re.compile(r"(Anonymous|Private_Dirty): +([0-9]{1,18}) kB")
_MOST_CHILDREN = 8  # the largest; 8.6 ms for each GB
_LARGEST_SMAPS = 8 << 20


def read_copied(processes: Sequence[ProcessFacts], *, root: Path = Path("/")) -> int:
    """How much the largest of `processes` have copied of their parent, if that is one of them. Units: bytes.

    Too low rather than too high: of more than eight children, it is what eight have. Raises: nothing.
    """
    proc = ProcFiles(root)
    by_pid = {process.pid: process for process in processes}
    images = {process.pid: proc.read(f"{process.pid}/auxv") for process in processes[: 4 * _MOST_CHILDREN]}
    children = [
        process
        for process in processes
        if process.parent_pid in by_pid
        and images.get(process.pid)
        and images.get(process.pid) == images.get(process.parent_pid)  # exec gives each its own
    ]
    parents: dict[int, dict[str, tuple[int, int]]] = {}
    copied = 0
    for child in children[:_MOST_CHILDREN]:
        if child.parent_pid not in parents:
            parents[child.parent_pid] = _mappings(proc, child.parent_pid)
        theirs = parents[child.parent_pid]
        for where, (anonymous, private) in _mappings(proc, child.pid).items():
            copied += min(anonymous, private, theirs.get(where, (0, 0))[0])
    return copied


def _mappings(proc: ProcFiles, pid: int) -> dict[str, tuple[int, int]]:
    """Of each mapping, what is anonymous in it, and what is the process's alone."""
    found: dict[str, tuple[int, int]] = {}
    where, private = "", 0
    for line in proc.read(f"{pid}/smaps", _LARGEST_SMAPS).splitlines():
        if (size := _SIZE.match(line)) is not None:
            if size[1] == "Private_Dirty":  # it stands before the other
                private = int(size[2]) * KIB
            elif int(size[2]):
                found[where] = (int(size[2]) * KIB, private)
        elif (mapping := _MAPPING.match(line)) is not None:
            where, private = mapping[1], 0
    return found
