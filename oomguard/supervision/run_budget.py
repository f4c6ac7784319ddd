"""The budget of a run: enforced by a memory cgroup where the machine allows, else measured only."""

from __future__ import annotations

import mmap
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.meminfo import parse_meminfo
from oomguard.formats.proc.smaps_rollup import parse_smaps_rollup
from oomguard.kernel.machine.headroom import read_headroom
from oomguard.kernel.proc.tree_memory import TreeMemory
from oomguard.supervision.backends.budget_memcg import MemcgUnavailable, enter_budget_memcg
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Of what the machine leaves when nothing was asked for: the rest is for others, and for what comes later.
_OF_HEADROOM = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBudget:
    """How much memory a run may use, in bytes, and who sees to it."""

    limit: int
    enforced_by: str  # "cgroup v1", "cgroup v2", "measurement"
    explanation: str  # where the number comes from, for people
    notes: tuple[str, ...]
    measure: Callable[[], int]  # unreclaimable memory of the whole process tree
    oom_kills: Callable[[], int]  # processes of the run that the kernel ended so far


@contextmanager
def open_budget(max_rss: int | None) -> Iterator[RunBudget]:
    """Put this process and all that it starts under a budget until the block ends.

    Without `max_rss` it is 80 % of what the machine and every cgroup above really leave, and measured only.
    """
    if max_rss is None:
        room = read_headroom()
        limit = int(room.available * _OF_HEADROOM)
        yield _measured(limit, f"80 % of {format_size(room.available)}: {room.limited_by}", ())
        return
    total = parse_meminfo(Path("/proc/meminfo").read_text(encoding="ascii")).total
    too_much: tuple[str, ...] = ()
    if total is not None and max_rss > total:
        too_much = (f"--max-rss is {format_size(max_rss)}, and this machine has {format_size(total)}",)
        max_rss = total
    # What this process holds stays charged to its old cgroup, and the budget is for all of it.
    before = _own_unreclaimable()
    asked = max(max_rss - before, max_rss // 2) // mmap.PAGESIZE * mmap.PAGESIZE  # as the kernel keeps it
    try:
        memcg = enter_budget_memcg(asked)
    except MemcgUnavailable as error:
        yield _measured(max_rss, "--max-rss", (*too_much, f"no memory cgroup: {error}; to have one: {error.do}"))
        return
    with memcg:
        yield RunBudget(
            # A lower limit of a cgroup above counts what was held before, too.
            limit=min(max_rss, memcg.memory_max + before) if memcg.memory_max >= asked else memcg.memory_max,
            enforced_by=memcg.kind,
            explanation="--max-rss",
            notes=(*too_much, *memcg.caveats),
            measure=lambda: memcg.unreclaimable() + before,
            oom_kills=lambda: memcg.oom_kills() or 0,
        )


def _own_unreclaimable() -> int:
    rollup = parse_smaps_rollup(Path("/proc/self/smaps_rollup").read_text(encoding="ascii"))
    return rollup.unreclaimable or 0


def _measured(limit: int, explanation: str, notes: tuple[str, ...]) -> RunBudget:
    tree = TreeMemory(os.getpid(), exact_above=limit // 2)
    return RunBudget(
        limit=limit,
        enforced_by="measurement",
        explanation=explanation,
        notes=notes,
        measure=tree.unreclaimable,
        oom_kills=lambda: 0,
    )
