"""A new memory cgroup where this process may have one: made, its limits set, and read back, as only that counts."""

from __future__ import annotations

import errno
import os
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from oomguard.formats.proc import parse_meminfo
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import MemcgDir, find_own_cgroup, find_own_memcg, read_kernel_text
from oomguard.kernel.cgroup.refusals import LimitDidNotStick, explain_refusals, no_controller
from oomguard.kernel.model import SUPERVISOR_MEMORY, LimitAbove
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

# Whether systemd leaves a cgroup's inside to us (its Delegate= setting).


def may_hand_out_controllers(cgroup: Path, root: Path = Path("/")) -> bool:
    """Whether what we change in `cgroup`'s cgroup.subtree_control will last.

    systemd owns that setting in all that it has not delegated, and puts it back at the next daemon-reload: the
    controller would go, and our limit with it, without a word (seen with systemd 252).
    Source: systemd, docs/CGROUP_DELEGATION.md; the mark is set by src/core/cgroup.c.
    """
    if not (root / "run/systemd/system").exists():
        return True
    if any(_attribute(cgroup, name) == b"1" for name in ("user.delegate", "trusted.delegate")):
        return True
    # A user's own manager sets no mark (systemd 252), and before 251 only root may see it.
    return os.getuid() != 0 and cgroup.suffix in (".scope", ".service") and _systemd_says_so(cgroup)


def _attribute(path: Path, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError:
        return None  # not set, or trusted.* asked for without the right to see it


def _systemd_says_so(cgroup: Path) -> bool:
    import subprocess  # seldom needed, and slow to import

    of_user = any(part.startswith("user@") for part in cgroup.parts)
    command = ["systemctl", *(["--user"] if of_user else []), "show", "--property=Delegate", "--value", cgroup.name]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == "yes"


T = TypeVar("T")


@dataclass(kw_only=True)
class MadeMemcg:
    """A new memory cgroup, still empty and unlimited, and the way to undo it."""

    memcg: MemcgDir
    home: MemcgDir  # where the process was
    left: tuple[MemcgDir, ...] = ()  # cgroups whose limits end to hold for the process when it moves in
    enabled_in: MemcgDir | None = None  # our own old cgroup, where the controller had to be switched on
    leaf: MemcgDir | None = None  # where we stepped down to, when it is not `memcg` that we are for
    moved_in: bool = False  # we are in `memcg`, or in `leaf`
    caveats: list[str] = field(default_factory=list)

    def undo(self) -> None:
        """Move back and remove the cgroup. Raises nothing: what cannot be undone is left as it is."""
        if self.enabled_in is not None and not self._disable():
            return  # a cgroup that hands out controllers takes no processes back
        if self.moved_in:
            try:
                cgroup_files.move_self(self.home.path)
            except OSError:
                return
            self.moved_in = False
        for made in (self.memcg, self.leaf):
            if made is not None:
                cgroup_files.remove_when_empty(made.path)

    def _disable(self) -> bool:
        assert self.enabled_in is not None
        parent = self.enabled_in.path
        try:
            ours = {self.memcg.path, self.leaf.path if self.leaf else None}
            if any(path.is_dir() and path not in ours for path in parent.iterdir()):
                return False  # somebody else's cgroup would lose its controller and limits
            cgroup_files.write_setting(parent, "cgroup.subtree_control", "-memory")
        except OSError:
            return False
        self.enabled_in = None
        return True


def at_first_place(apply: Callable[[MadeMemcg], T], memory_max: int, *, for_others: bool = False, root: Path) -> T:
    """Make a memory cgroup at the first place that has one to give, and do `apply` with it.

    v1 puts it under the own cgroup. v2 allows that only where no process is in the parent, so it goes under
    the nearest cgroup from the own one upwards that may have it. Where `apply` fails it is undone, and the
    next place tried. `for_others`: the calling process stays outside of it. Budgets that killed runs left
    there are removed.
    Raises: MemcgUnavailable, with what would make it possible; nothing has changed then.
    """
    own = find_own_cgroup(root)
    if own is None:
        raise no_controller(memory_max, root)
    refusals: list[tuple[MemcgDir, OSError]] = []
    for parent in own.ancestors() if own.version == 2 else [own]:
        cgroup_files.remove_stale_budgets(parent.path, root)
        try:
            made = make_child(parent, own, root, for_others=for_others)
        except OSError as error:
            refusals.append((parent, error))
            continue
        try:
            return apply(made)
        except OSError as error:
            made.undo()
            refusals.append((parent, error))
        except BaseException:
            made.undo()
            raise
    raise explain_refusals(refusals, memory_max, root)


def make_child(parent: MemcgDir, own: MemcgDir, root: Path, *, for_others: bool = False) -> MadeMemcg:
    """Make a memory cgroup under `parent`, for a process whose own cgroup is `own` or below it.

    v2's rule: a cgroup holds processes or hands controllers to its children, never both (except the root of
    all). So the child goes where the controller is handed out already, or may be. Where this process is the
    only one in its own, delegated cgroup it steps down first: that frees the parent to hand it out, and no
    limit is left behind. `for_others`: it steps down into a cgroup beside, without a limit.
    Raises: OSError if that is not possible here; nothing has changed then.
    """
    enable = own.version == 2 and not _hands_out_memory(parent)
    if enable and not may_hand_out_controllers(parent.path, root):
        raise OSError(errno.EBUSY, "systemd did not delegate it")
    made = MadeMemcg(
        memcg=MemcgDir(cgroup_files.unused_budget_path(parent.path), own.version, own.mount_point), home=own
    )
    cgroup_files.make_cgroup(made.memcg.path)
    try:
        if enable and parent == own and _is_alone(own):
            _step_down(made, for_others=for_others)
        if enable:
            cgroup_files.write_setting(parent.path, "cgroup.subtree_control", "+memory")
            made.enabled_in = parent if made.moved_in else None
    except BaseException:
        made.undo()
        raise
    above = own.ancestors()
    made.left = tuple(above[: above.index(parent)])
    if made.left:
        made.caveats.append(
            f"the job runs next to its old cgroup {own.name}, not in it: limits there other than memory, "
            "and stopping that unit, do not affect it"
        )
    return made


def _step_down(made: MadeMemcg, *, for_others: bool) -> None:
    if for_others:
        parent = made.home
        made.leaf = MemcgDir(cgroup_files.unused_budget_path(parent.path), parent.version, parent.mount_point)
        cgroup_files.make_cgroup(made.leaf.path)
    cgroup_files.move_self((made.leaf or made.memcg).path)
    made.moved_in = True


def _hands_out_memory(cgroup: MemcgDir) -> bool:
    return "memory" in (cgroup.read("cgroup.subtree_control") or "").split()


def _is_alone(cgroup: MemcgDir) -> bool:
    return (cgroup.read("cgroup.procs") or "").split() == [str(os.getpid())]


PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

_V2_NO_SWAP_LIMIT = "this kernel cannot limit swap (no memory.swap.max): if swap is on, the job may swap"
_V1_NO_SWAP_LIMIT = (
    "this kernel cannot limit swap (it needs the boot option swapaccount=1): "
    "the job may swap when the whole machine is short of memory"
)


def set_limits(memcg: MemcgDir, memory_max: int, *, swap_max: int | None, left: tuple[MemcgDir, ...]) -> list[str]:
    """Limit `memcg` to `memory_max` bytes, or to less where a cgroup in `left` had less. Gives the caveats.

    `left` are the cgroups whose limits the process leaves behind when it moves into `memcg`. `swap_max`: how
    much may be swapped out beside that; None: no limit.
    Raises: OSError as the kernel answers; LimitDidNotStick if it reads back something else.
    """
    limit = min([memory_max, *(max_ for above in left if (max_ := above.memory_max()) is not None)])
    stuck = set_memory_max(memcg, limit)
    if memcg.version == 2:
        caveats = _set_v2(memcg, swap_max=swap_max, left=left)
    else:
        caveats = _set_v1(memcg, stuck, swap_max=swap_max)
    if swap_max == 0 and memcg.has_swap_accounting() and memcg.swap_max() != 0:
        raise LimitDidNotStick("swap was disabled for", memcg.path, 0, memcg.swap_max())
    return caveats


def set_memory_max(memcg: MemcgDir, limit: int) -> int:
    """Set the hard limit alone, and give what the kernel made of it: whole pages.

    Raises: OSError as the kernel answers; LimitDidNotStick if it reads back something else.
    """
    cgroup_files.write_setting(memcg.path, "memory.max" if memcg.version == 2 else "memory.limit_in_bytes", limit)
    stuck = memcg.memory_max()
    if stuck is None or not limit - PAGE_SIZE < stuck <= limit:  # the kernel rounds down to whole pages
        raise LimitDidNotStick("the memory limit was set for", memcg.path, limit, stuck)
    return stuck


def lowest_limit(memcg: MemcgDir) -> tuple[int | None, str]:
    """The lowest limit that holds in `memcg`, its own or from above, and whose it is in words for people."""
    limits = [(max_, f"cgroup {above.name}") for above in memcg.ancestors() if (max_ := above.memory_max()) is not None]
    hidden = memcg.hidden_memory_max()
    if hidden is not None:
        limits.append((hidden, "a cgroup above those visible here"))
    return min(limits, key=lambda limit: limit[0], default=(None, ""))


def _set_v2(memcg: MemcgDir, *, swap_max: int | None, left: tuple[MemcgDir, ...]) -> list[str]:
    highs = [high for above in left if (high := above.memory_high()) is not None]
    if highs:
        cgroup_files.write_setting(memcg.path, "memory.high", min(highs))
    if memcg.read("memory.oom.group") is not None:  # since Linux 4.19
        # 1 would end the whole job where one worker is enough.
        cgroup_files.write_setting(memcg.path, "memory.oom.group", 0)
    if not memcg.has_swap_accounting():
        return [] if swap_max is None else [_V2_NO_SWAP_LIMIT]
    swaps = [swap for swap in (swap_max, *(above.swap_max() for above in left)) if swap is not None]
    if swaps:
        cgroup_files.write_setting(memcg.path, "memory.swap.max", min(swaps))
    return []


def _set_v1(memcg: MemcgDir, memory_max: int, *, swap_max: int | None) -> list[str]:
    if "oom_kill_disable 1" in (memcg.read("memory.oom_control") or ""):
        # Inherited, and it would hang the job at its limit.
        cgroup_files.write_setting(memcg.path, "memory.oom_control", 0)
    if swap_max is None:
        return []
    if memcg.has_swap_accounting():
        # Memory and swap together; the kernel wants it set after the limit of memory alone, never below it.
        cgroup_files.write_setting(memcg.path, "memory.memsw.limit_in_bytes", memory_max + swap_max)
        return []
    # The next best: no swapping at the cgroup's own limit, but still when the machine is short.
    cgroup_files.write_setting(memcg.path, "memory.swappiness", 0)
    return [_V1_NO_SWAP_LIMIT]


def limits_above(memcg: MemcgDir, root: Path = Path("/")) -> list[LimitAbove]:
    """The limits that hold for `memcg` from above, and those that are hidden from us."""
    above = memcg.ancestors()[1:]
    return _limits_of(above, root) if above else []


def machine_limit(root: Path = Path("/")) -> list[LimitAbove]:
    """The machine's memory, as a limit."""
    total = parse_meminfo(read_kernel_text(root / "proc/meminfo") or "").total
    return [] if total is None else [LimitAbove(whose="this machine's memory", limit=total, beside=SUPERVISOR_MEMORY)]


def limits_around(root: Path = Path("/")) -> list[LimitAbove]:
    """The limits that hold for the calling process, and for what it starts without a cgroup of its own."""
    own = find_own_memcg(root)
    return [] if own is None else _limits_of(own.ancestors(), root)


def _limits_of(memcgs: list[MemcgDir], root: Path) -> list[LimitAbove]:
    own = find_own_cgroup(root)
    above: list[LimitAbove] = []
    for memcg in memcgs:
        beside = SUPERVISOR_MEMORY if own is not None and memcg.path in (own.path, *own.path.parents) else 0
        for limit, kind in ((memcg.memory_max(), "limit"), (memcg.memory_high(), "soft limit (memory.high)")):
            if limit is not None:
                above.append(LimitAbove(whose=f"the memory {kind} of cgroup {memcg.name}", limit=limit, beside=beside))
    hidden = memcgs[0].hidden_memory_max()
    if hidden is not None and all(hidden < limit.limit for limit in above):
        whose = "a memory limit above the visible cgroups"
        above.append(LimitAbove(whose=whose, limit=hidden, beside=SUPERVISOR_MEMORY))
    return above
