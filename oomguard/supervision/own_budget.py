"""The budget of this process and of all that it starts, for a job that keeps its budget itself.

A supervisor that holds the job tells it its budget; in a program that calls oomguard.prepare() there is none, and this
process enters a memory cgroup of its own.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.kernel.cgroup.directory import find_own_cgroup
from oomguard.supervision.options import usual_budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from oomguard.kernel.proc.memory import TreeMemory
    from oomguard.supervision.rules.choice import Enforcement

_MEASURED = "measurement"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBudget:
    """How much memory a run may use, in bytes, and who sees to it."""

    limit: int
    enforced_by: str  # "cgroup v1", "cgroup v2", "systemd scope", "polling", "measurement"
    explanation: str  # where the number comes from, for people
    notes: tuple[str, ...]
    measure: Callable[[], int]  # unreclaimable memory of the whole process tree
    oom_kills: Callable[[], int]  # processes of the run that the kernel ended so far


_told: RunBudget | None = None  # by the supervisor of this process


def tell_budget(enforcement: Enforcement, cgroup: Path | None, explanation: str) -> str:
    """What a supervisor tells its job."""
    notes = [*([enforcement.cannot] if enforcement.cannot else []), *enforcement.notes]
    told = {"limit": enforcement.budget, "enforced_by": enforcement.way, "explanation": explanation, "notes": notes}
    return json.dumps({**told, "cgroup": None if cgroup is None else str(cgroup)})


def accept_budget(told: str) -> None:
    """In a job: take over what the supervisor told, as the budget of enter_budget() from now on."""
    global _told  # noqa: PLW0603 - a process has one supervisor
    facts = json.loads(told)
    common = {"limit": facts["limit"], "explanation": facts["explanation"], "notes": tuple(facts["notes"])}
    own = find_own_cgroup() if facts["cgroup"] else None
    if own is None or str(own.path) != facts["cgroup"]:  # none, or a cgroup namespace hides it
        tree = _tree(facts["limit"])
        measure, kills = tree.unreclaimable, _none
    else:
        memcg = own
        before = memcg.oom_kills() or 0

        def measure() -> int:
            return memcg.unreclaimable() or 0

        def kills() -> int:
            return (memcg.oom_kills() or 0) - before

    _told = RunBudget(enforced_by=facts["enforced_by"], measure=measure, oom_kills=kills, **common)


@contextmanager
def expect_budget(limit: int) -> Iterator[None]:
    """Within the block enter_budget() gives this budget, which nobody enforces: to see whether it is enough."""
    global _told  # noqa: PLW0603 - as above
    before, _told = _told, _measured(limit, "--max-rss", ())
    try:
        yield
    finally:
        _told = before


@contextmanager
def enter_budget(max_rss: int | None) -> Iterator[RunBudget]:
    """Put this process and all that it starts under a budget until the block ends, unless a supervisor did so.

    Without `max_rss` it is 80 % of what the machine and every cgroup above really leave, and measured only.
    """
    if _told is not None:
        yield _told
        return
    if max_rss is None:
        limit, explanation = usual_budget()
        yield _measured(limit, explanation, ())
        return
    from oomguard.kernel.cgroup.refusals import MemcgUnavailable
    from oomguard.supervision.backends.own_cgroup import enter_cgroup_for

    try:
        memcg, limit = enter_cgroup_for(max_rss)
    except MemcgUnavailable as error:
        yield _measured(max_rss, "--max-rss", (f"no memory cgroup: {error}; to have one: {error.do}",))
        return
    with memcg:
        yield RunBudget(
            limit=limit,
            enforced_by=memcg.kind,
            explanation="--max-rss",
            notes=memcg.caveats,
            measure=lambda: memcg.unreclaimable() + memcg.held_before,
            oom_kills=lambda: memcg.oom_kills() or 0,
        )


def _measured(limit: int, explanation: str, notes: tuple[str, ...]) -> RunBudget:
    tree = _tree(limit)
    return RunBudget(
        limit=limit,
        enforced_by=_MEASURED,
        explanation=explanation,
        notes=notes,
        measure=tree.unreclaimable,
        oom_kills=_none,
    )


def _tree(limit: int) -> TreeMemory:
    from oomguard.kernel.proc.memory import TreeMemory  # here, so that a command need not wait for it

    return TreeMemory(os.getpid(), exact_above=limit // 2)


def _none() -> int:
    return 0
