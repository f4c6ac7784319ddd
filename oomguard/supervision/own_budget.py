"""The budget of this process and of all that it starts, for a job that keeps its budget itself.

A supervisor that holds the job tells it its budget; in a program that calls oomguard.prepare() there is none, and this
process enters a memory cgroup of its own.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from oomguard.formats.proc import parse_status_memory
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import MemcgDir, find_own_cgroup, read_kernel_text
from oomguard.kernel.cgroup.limits import PAGE_SIZE, MadeMemcg, at_first_place, lowest_limit, machine_limit, set_limits
from oomguard.kernel.cgroup.refusals import LimitDidNotStick, MemcgUnavailable
from oomguard.kernel.proc import ProcFiles
from oomguard.records import dataclass
from oomguard.supervision.options import usual_budget
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from oomguard.kernel.proc.memory import TreeMemory
    from oomguard.supervision.options import Enforcement

__all__ = ["MemcgUnavailable", "OwnCgroup", "enter_cgroup"]


@dataclass(frozen=True, kw_only=True)
class OwnCgroup:
    """The cgroup this process entered. A context manager: leaving the block leaves the cgroup."""

    memory_max: int  # bytes; as read back, or an ancestor's limit where that is lower
    held_before: int  # bytes this process held when it entered: they stay with its old cgroup, outside of the limit
    caveats: tuple[str, ...]  # for people: what this enforcement does not do
    _memcg: MemcgDir = field(repr=False)
    _undo: Callable[[], None] = field(repr=False)
    _pid: int = field(default_factory=os.getpid, repr=False)

    @property
    def kind(self) -> str:
        """What enforces the limit: "cgroup v1" or "cgroup v2"."""
        return f"cgroup v{self._memcg.version}"

    @property
    def path(self) -> Path:
        """The cgroup's directory."""
        return self._memcg.path

    def unreclaimable(self) -> int:
        """Memory of the whole process tree that only ending a process gives back. Units: bytes.

        What this process held before it entered is not in it, nor under the limit: the kernel leaves that
        with the cgroup that paid for it.
        Raises: MemcgUnavailable if somebody took the cgroup's memory controller away: the limit went with it.
        """
        unreclaimable = self._memcg.unreclaimable()
        if unreclaimable is None:
            raise MemcgUnavailable(
                f"the memory limit is gone: {self.path} has no memory.stat any more",
                do="let nothing else manage it (a systemd unit needs Delegate=yes), then start again",
            )
        return unreclaimable

    def peak_charged(self) -> int | None:
        """The kernel's high-water mark, page cache included. None: v2 before Linux 5.19. Units: bytes."""
        return self._memcg.peak_charged()

    def oom_kills(self) -> int | None:
        """How many processes in here the kernel killed for memory. None: it does not count them."""
        return self._memcg.oom_kills()

    def leave(self) -> None:
        """Move this process back and remove the cgroup. Raises nothing; harmless twice or in a forked child.

        Where the way back is closed (a systemd scope ends when it is empty), or children are still in it, the
        cgroup stays; the next run removes it.
        """
        if os.getpid() == self._pid:
            self._undo()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


def enter_cgroup(memory_max: int, *, allow_swap: bool = False, root: Path = Path("/")) -> OwnCgroup:
    """Make a memory cgroup limited to `memory_max` bytes and move the calling process into it.

    What it forks from then on is inside too. Call it early: memory held before stays outside
    (`held_before`). Limits that it leaves behind by moving are applied to it. Swap is closed for it unless
    `allow_swap`.
    Raises: MemcgUnavailable, with what would make it possible; nothing has changed then.
    """
    if memory_max < PAGE_SIZE:
        raise ValueError(f"memory_max must be at least a page, got {memory_max}")
    return at_first_place(
        lambda made: _limit_and_enter(made, memory_max, allow_swap=allow_swap, root=root), memory_max, root=root
    )


def enter_cgroup_for(max_rss: int) -> tuple[OwnCgroup, int]:
    """Enter a cgroup so that this process, with what it held before, and its children keep to `max_rss` bytes.

    Gives the budget beside it: less than `max_rss` where the machine, or a cgroup above, has less.
    Raises: MemcgUnavailable, as enter_cgroup() does.
    """
    caveats: list[str] = []
    for machine in machine_limit():
        if max_rss > machine.limit:
            caveats.append(f"--max-rss is {format_size(max_rss)}, and this machine has {format_size(machine.limit)}")
            max_rss = machine.limit
    # What this process holds stays charged to its old cgroup, and the budget is for all of it.
    before = parse_status_memory(read_kernel_text(Path("/proc/self/status")) or "").unreclaimable_bound or 0
    asked = max(max_rss - before, max_rss // 2) // PAGE_SIZE * PAGE_SIZE  # as the kernel keeps it
    memcg = enter_cgroup(asked)
    # A lower limit of a cgroup above counts what was held before, too.
    limit = min(max_rss, memcg.memory_max + before) if memcg.memory_max >= asked else memcg.memory_max
    return replace(memcg, caveats=(*caveats, *memcg.caveats)), limit


def _limit_and_enter(made: MadeMemcg, memory_max: int, *, allow_swap: bool, root: Path) -> OwnCgroup:
    memcg = made.memcg
    caveats = set_limits(memcg, memory_max, swap_max=None if allow_swap else 0, left=made.left)
    status = parse_status_memory(read_kernel_text(root / "proc/self/status") or "")
    held_before = status.unreclaimable_bound or 0
    if not made.moved_in:
        cgroup_files.move_self(memcg.path)
        made.moved_in = True
    inside = find_own_cgroup(root)
    if inside is None or inside.path != memcg.path:
        raise LimitDidNotStick("this process was moved into", memcg.path, memcg.name, inside.name if inside else None)
    lowest, whose = lowest_limit(memcg)
    assert lowest is not None  # set_limits() has just read it back
    if lowest < memory_max - PAGE_SIZE:
        asked = format_size(memory_max)
        caveats.append(f"{whose} is limited to {format_size(lowest)}, less than the {asked} asked for")
    return OwnCgroup(
        memory_max=lowest,
        held_before=held_before,
        caveats=(*caveats, *made.caveats),
        _memcg=memcg,
        _undo=made.undo,
    )


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
    held_before: int = 0  # bytes within the limit that this process held when the run began

    @property
    def is_enforced(self) -> bool:
        """Whether anything ends the run above its limit; else its memory is only measured."""
        return self.enforced_by != _MEASURED


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
def expect_budget(limit: int, explanation: str) -> Iterator[None]:
    """Within the block enter_budget() gives this budget, which nobody enforces: to see whether it is enough."""
    global _told  # noqa: PLW0603 - as above
    before, _told = _told, _measured(limit, explanation, ())
    try:
        yield
    finally:
        _told = before


@contextmanager
def enter_budget(max_rss: int | None) -> Iterator[RunBudget]:
    """Put this process and all that it starts under a budget until the block ends, unless a supervisor did so.

    Without `max_rss` it is 80 % of what the machine and every cgroup above it really leave, and measured only.
    """
    if _told is not None:
        yield _told
        return
    if max_rss is None:
        limit, explanation = usual_budget()
        yield _measured(limit, explanation, ())
        return
    from oomguard.kernel.cgroup.refusals import MemcgUnavailable

    try:
        memcg, limit = enter_cgroup_for(max_rss)
    except MemcgUnavailable as error:
        yield _measured(max_rss, "--max-rss", (f"no memory cgroup: {error}; to get one: {error.do}",))
        return
    with memcg:
        yield RunBudget(
            limit=limit,
            enforced_by=memcg.kind,
            explanation="--max-rss",
            notes=memcg.caveats,
            measure=lambda: memcg.unreclaimable() + memcg.held_before,
            oom_kills=lambda: memcg.oom_kills() or 0,
            held_before=memcg.held_before,
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


_VARIABLE = "OOMGUARD_SUPERVISOR"
_GENERATIONS = 16


def mark_supervised() -> None:
    """Let the jobs of ours that this process starts know that it supervises them, without a budget of their own."""
    os.environ[_VARIABLE] = str(os.getpid())


def is_supervised() -> bool:
    """Whether a supervisor above said that it holds this job: then the job needs none of its own."""
    text = os.environ.pop(_VARIABLE, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 11):
        return False
    proc, pid = ProcFiles(), os.getpid()
    for _ in range(_GENERATIONS):
        stat = proc.stat(pid)
        if stat is None or stat.parent_pid <= 1:
            return False
        pid = stat.parent_pid
        if pid == int(text):
            return True
    return False
