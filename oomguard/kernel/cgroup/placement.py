"""Find the place where this process may have a memory cgroup of its own, and make it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import MemcgDir, find_own_cgroup
from oomguard.kernel.cgroup.refusals import explain_refusals, no_controller

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
            f"the job runs beside its old cgroup {own.name}, not in it: limits there other than memory, "
            "and stopping that unit, do not reach it"
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
