"""Find the place where this process may have a memory cgroup of its own, and make it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.linux import cgroup_files
from oomguard.linux.memcg_dir import MemcgDir
from oomguard.linux.systemd_delegation import may_hand_out_controllers

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(kw_only=True)
class MadeMemcg:
    """A new memory cgroup, still empty and unlimited, and the way to undo it."""

    memcg: MemcgDir
    home: MemcgDir  # where the process was
    left: tuple[MemcgDir, ...] = ()  # cgroups whose limits end to hold for the process when it moves in
    enabled_in: MemcgDir | None = None  # our own old cgroup, where the controller had to be switched on
    moved_in: bool = False
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
        cgroup_files.remove_when_empty(self.memcg.path)

    def _disable(self) -> bool:
        assert self.enabled_in is not None
        parent = self.enabled_in.path
        try:
            if any(path.is_dir() and path != self.memcg.path for path in parent.iterdir()):
                return False  # somebody else's cgroup would lose its controller and limits
            cgroup_files.write_setting(parent, "cgroup.subtree_control", "-memory")
        except OSError:
            return False
        self.enabled_in = None
        return True


def make_child(parent: MemcgDir, own: MemcgDir, root: Path) -> MadeMemcg:
    """Make a memory cgroup under `parent`, for a process whose own cgroup is `own` or below it.

    v2's rule: a cgroup holds processes or hands controllers to its children, never both (except the root of
    all). So the child goes where the controller is handed out already, or may be. Where this process is the
    only one in its own, delegated cgroup it steps down first: that frees the parent to hand it out, and no
    limit is left behind.
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
            cgroup_files.move_self(made.memcg.path)
            made.moved_in = True
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


def _hands_out_memory(cgroup: MemcgDir) -> bool:
    return "memory" in (cgroup.read("cgroup.subtree_control") or "").split()


def _is_alone(cgroup: MemcgDir) -> bool:
    return (cgroup.read("cgroup.procs") or "").split() == [str(os.getpid())]
