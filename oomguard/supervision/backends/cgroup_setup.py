"""Make the memory cgroup of a job: find its place, and set its limits before anything runs in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.cgroup import parse_proc_cgroup, path_in_mount
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import MemcgDir, cgroup_mounts, read_kernel_text
from oomguard.kernel.cgroup.limits import MadeMemcg, at_first_place, limits_above, set_limits
from oomguard.kernel.cgroup.refusals import LimitDidNotStick
from oomguard.kernel.model import LimitAbove
from oomguard.supervision.backends.cgroup import CgroupBackend
from oomguard.supervision.rules.limits import plan_job_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.supervision.options import Way


def open_cgroup(
    asked: int,
    more_above: list[LimitAbove],
    *,
    swap_max: int | None,
    keeps_itself: bool = False,
    root: Path = Path("/"),
) -> CgroupBackend:
    """Make an empty memory cgroup for a job of `asked` bytes; this process stays outside.

    `more_above` are limits that hold from elsewhere, such as the machine's memory. `swap_max`: how much may be
    swapped out; 0 closes swap, None sets no limit. `keeps_itself`: the job keeps its budget itself, which then is the
    hard limit too, and at which the kernel ends one of its processes and not the whole job.
    Raises: MemcgUnavailable, with what would make it possible; nothing has changed then.
    """
    return at_first_place(
        lambda made: _limit(made, asked, more_above, swap_max, root, keeps_itself=keeps_itself),
        asked,
        for_others=True,
        root=root,
    )


def limit_cgroup(
    memcg: MemcgDir,
    asked: int,
    above: Callable[[], list[LimitAbove]],
    kind: Way,
    *,
    left: tuple[MemcgDir, ...],
    swap_max: int | None,
    companion: Path | None,
    undo: Callable[[], None],
    keeps_itself: bool = False,
) -> CgroupBackend:
    """Set the limits of a new, empty cgroup and read them back. Raises: OSError; LimitDidNotStick."""
    limits = plan_job_limits(asked, above(), reserve=not keeps_itself)
    caveats = set_limits(memcg, limits.hard, swap_max=swap_max, left=left)
    if memcg.version == 2 and not keeps_itself:
        cgroup_files.write_setting(memcg.path, "memory.high", limits.slow)
        if memcg.read("memory.high") is None:
            raise LimitDidNotStick("memory.high was set for", memcg.path, limits.slow, None)
        if memcg.read("memory.oom.group") is not None:
            # Should the kernel be faster than the supervisor: all of the job, not the one worker its parent waits for.
            cgroup_files.write_setting(memcg.path, "memory.oom.group", 1)
    return CgroupBackend(
        kind=kind,
        memcg=memcg,
        limits=replace(limits, notes=()),
        caveats=(*limits.notes, *caveats),
        swap_max=swap_max,
        companion=companion,
        undo=undo,
        above=above,
        keeps_itself=keeps_itself,
    )


def _limit(
    made: MadeMemcg,
    asked: int,
    more_above: list[LimitAbove],
    swap_max: int | None,
    root: Path,
    *,
    keeps_itself: bool,
) -> CgroupBackend:
    memcg = made.memcg
    left = [
        LimitAbove(whose=f"the memory limit of cgroup {above.name}, where it would have been", limit=limit)
        for above in made.left
        for limit in (above.memory_max(), above.memory_high())
        if limit is not None
    ]
    companion = _make_companion(memcg.path.name, root) if memcg.version == 1 else None
    try:
        job = limit_cgroup(
            memcg,
            asked,
            lambda: [*more_above, *limits_above(memcg, root), *left],
            "cgroup v1" if memcg.version == 1 else "cgroup v2",
            left=made.left,
            swap_max=swap_max,
            companion=companion,
            undo=made.undo,
            keeps_itself=keeps_itself,
        )
    except BaseException:
        if companion is not None:
            cgroup_files.remove_when_empty(companion)
        raise
    job.caveats = (*job.caveats, *made.caveats)
    return job


def _make_companion(name: str, root: Path) -> Path | None:
    """A v2 cgroup under our own one there; None where that cannot be, which costs only the better freezer."""
    cgroup = parse_proc_cgroup(read_kernel_text(root / "proc/self/cgroup") or "").get("")
    if cgroup is None:
        return None
    for mount in cgroup_mounts(root):
        parent = path_in_mount(cgroup, mount) if mount.version == 2 else None
        if parent is None:
            continue
        path = root / parent.lstrip("/") / name
        try:
            cgroup_files.remove_stale_budgets(path.parent, root)
            cgroup_files.make_cgroup(path)
        except OSError:
            continue
        if (path / "cgroup.freeze").exists():  # since Linux 5.2
            return path
        cgroup_files.remove_when_empty(path)
    return None
