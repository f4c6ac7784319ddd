"""What each mapping of a process holds. Source: Linux fs/proc/task_mmu.c, show_smap(); proc_pid_smaps(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAPPING = re.compile(r"[0-9a-f]{1,16}-[0-9a-f]{1,16} \S{4} [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ [0-9]+ *(.*)")
_HELD = re.compile(r"(Anonymous|Swap): +([0-9]{1,18}) kB")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryShare:
    """What a kind of mapping holds of a process's unreclaimable memory. Units: bytes."""

    mapping: str  # "[heap]", "anonymous", "[stack]", or a file
    size: int


def parse_smaps(lines: Iterable[str]) -> list[MemoryShare]:
    """Sum anonymous and swapped-out memory by mapping name, the largest first; line by line, as it may be long.

    Units: the kernel prints "kB" and means KiB; the result is bytes. A mapping without a name is "anonymous".
    Raises: nothing.
    """
    held: dict[str, int] = {}
    name = "anonymous"
    for line in lines:
        if (value := _HELD.match(line)) is not None:
            held[name] = held.get(name, 0) + int(value[2]) * KIB
        elif (mapping := _MAPPING.match(line)) is not None:
            name = mapping[1].rstrip("\n") or "anonymous"
    return sorted(
        (MemoryShare(mapping=name, size=size) for name, size in held.items() if size),
        key=lambda share: share.size,
        reverse=True,
    )
