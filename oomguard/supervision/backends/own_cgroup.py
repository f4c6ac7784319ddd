"""Enter a memory cgroup with a hard limit: the kernel then holds this process and its children to it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from oomguard.formats.proc import parse_status_memory
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import MemcgDir, find_own_cgroup, read_kernel_text
from oomguard.kernel.cgroup.limits import PAGE_SIZE, lowest_limit, machine_limit, set_limits
from oomguard.kernel.cgroup.placement import MadeMemcg, at_first_place
from oomguard.kernel.cgroup.refusals import LimitDidNotStick, MemcgUnavailable
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

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
