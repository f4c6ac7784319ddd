"""One existing memory cgroup directory, version 1 or 2 behind one interface."""

from __future__ import annotations

import errno
import os
import re
import time
from pathlib import Path
from typing import Literal

from oomguard.formats.cgroup import (
    CgroupMount,
    MemoryStat,
    parse_cgroup_mounts,
    parse_count,
    parse_limit,
    parse_memory_stat_v1,
    parse_memory_stat_v2,
    parse_proc_cgroup,
    parse_v1_hierarchical_limit,
    path_in_mount,
)
from oomguard.formats.proc import parse_meminfo
from oomguard.records import dataclass


@dataclass(frozen=True, slots=True)
class MemcgDir:
    """A memory cgroup. Each question reads the kernel's files anew; None: no limit, or it did not say."""

    path: Path
    version: Literal[1, 2]
    mount_point: Path

    @property
    def name(self) -> str:
        """The cgroup's name for people: its path below the mount, "/" for the mount itself."""
        return "/" + self.path.relative_to(self.mount_point).as_posix().removeprefix(".")

    def memory_stat(self) -> MemoryStat:
        """What the charged pages are, the cgroups below counted in. Units: bytes."""
        stat = self.read("memory.stat") or ""
        if self.version == 2:
            return parse_memory_stat_v2(stat)
        return parse_memory_stat_v1(stat, self.read("memory.kmem.usage_in_bytes") or "")

    def unreclaimable(self) -> int | None:
        """Memory that only ending a process gives back; see MemoryStat. Units: bytes."""
        return self.memory_stat().unreclaimable

    def memory_max(self) -> int | None:
        """The hard limit of this cgroup alone; see ancestors() for those above. Units: bytes."""
        return self._limit("memory.max" if self.version == 2 else "memory.limit_in_bytes")

    def memory_high(self) -> int | None:
        """The limit above which v2 slows the processes down; v1 has none. Units: bytes."""
        return self._limit("memory.high") if self.version == 2 else None

    def hidden_memory_max(self) -> int | None:
        """The lowest limit of this cgroup and all above, even outside of a container; only v1 tells it."""
        return parse_v1_hierarchical_limit(self.read("memory.stat") or "") if self.version == 1 else None

    def swap_max(self) -> int | None:
        """How much may be swapped out: 0 = closed. None: no limit, or no swap accounting. Units: bytes."""
        if self.version == 2:
            return self._limit("memory.swap.max")
        memory, memory_and_swap = self.memory_max(), self._limit("memory.memsw.limit_in_bytes")
        return None if memory is None or memory_and_swap is None else max(0, memory_and_swap - memory)

    def swap_left(self, most: int | None, root: Path = Path("/")) -> int:
        """How much more of it may be swapped out, of `most` (None: any): what the machine has. Units: bytes."""
        if most == 0:
            return 0
        machine = parse_meminfo(read_kernel_text(root / "proc/meminfo") or "").swap_free or 0
        if most is None:
            return machine
        if self.version == 2:
            used = parse_count(self.read("memory.swap.current") or "")
        else:
            both = parse_count(self.read("memory.memsw.usage_in_bytes") or "")
            alone = parse_count(self.read("memory.usage_in_bytes") or "")
            used = None if both is None or alone is None else both - alone
        return min(machine, max(0, most - (used or 0)))

    def has_swap_accounting(self) -> bool:
        """Whether the kernel can limit swap for this cgroup."""
        file = "memory.swap.max" if self.version == 2 else "memory.memsw.limit_in_bytes"
        return self.read(file) is not None

    def peak_charged(self) -> int | None:
        """The kernel's own high-water mark: exact in time, page cache included. On v2 since Linux 5.19."""
        file = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        return parse_count(self.read(file) or "")

    def oom_kills(self) -> int | None:
        """Processes of this cgroup (v2: and of those below) that the kernel killed for memory."""
        events = "memory.events" if self.version == 2 else "memory.oom_control"
        return parse_count(self.read(events) or "", "oom_kill")

    def ancestors(self) -> list[MemcgDir]:
        """The cgroup itself and each above it, up to the last that is visible here."""
        paths = [self.path]
        while paths[-1] != self.mount_point:
            paths.append(paths[-1].parent)
        return [MemcgDir(path, self.version, self.mount_point) for path in paths]

    def read(self, file: str) -> str | None:
        """The text of one of the cgroup's files. None: it is not there, or may not be read."""
        return read_kernel_text(self.path / file)

    def _limit(self, file: str) -> int | None:
        return parse_limit(self.read(file) or "")


def find_own_memcg(root: Path = Path("/")) -> MemcgDir | None:
    """Find the memory cgroup whose limits hold for the calling process.

    On v2 that may be one above its own: where a cgroup has no memory controller, the nearest above that has
    one counts for it. None: no memory controller, or it is mounted nowhere.
    """
    placed = find_own_cgroup(root)
    if placed is None or placed.version == 1:
        return placed
    for memcg in placed.ancestors():
        if memcg.read("memory.stat") is not None:
            return memcg
    return None


def find_own_cgroup(root: Path = Path("/")) -> MemcgDir | None:
    """Find the directory of the calling process's own cgroup in the hierarchy that has the memory controller.

    On v2 it may lack the memory files. None: no such hierarchy is mounted where it shows our cgroup.
    """
    cgroups = parse_proc_cgroup(read_kernel_text(root / "proc/self/cgroup") or "")
    version: Literal[1, 2] = 1 if "memory" in cgroups else 2
    cgroup = cgroups.get("memory" if version == 1 else "")
    if cgroup is None:
        return None
    for mount in cgroup_mounts(root):
        path = path_in_mount(cgroup, mount)
        if path is None or mount.version != version or (version == 1 and "memory" not in mount.controllers):
            continue
        found = MemcgDir(root / path.lstrip("/"), version, root / mount.mount_point.lstrip("/"))
        if version == 1 or _offers_memory(found):
            return found
    return None


def cgroup_mounts(root: Path = Path("/")) -> list[CgroupMount]:
    """The cgroup hierarchies mounted here, writable ones first."""
    mounts = parse_cgroup_mounts(read_kernel_text(root / "proc/self/mountinfo") or "")
    return sorted(mounts, key=lambda mount: mount.read_only)


def _offers_memory(cgroup: MemcgDir) -> bool:
    return any("memory" in (above.read("cgroup.controllers") or "").split() for above in cgroup.ancestors())


def read_kernel_text(path: Path) -> str | None:
    """Read a whole file of /proc or /sys. None: it is not there, or vanished, or may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


# Change cgroups: make, remove, write a setting. Everything that changes one goes through here.
#
# Raises: OSError as the kernel answers it. Whether something is allowed is found out by trying it: access(2)
# knows neither delegation, nor the no-internal-processes rule, nor all of what a container forbids.

_BUDGET_NAME = re.compile(r"oomguard-([0-9]{1,10})(?:-[0-9]{1,3})?")
_REMOVAL_PATIENCE_SECONDS = 1.0  # while processes are in it,
_ENDING_PATIENCE_SECONDS = 20.0  # and while there are none, but the kernel of a busy machine still ends their last


def write_setting(cgroup: Path, file: str, value: str | int) -> None:
    """Write one value into one of the cgroup's files; never makes a file."""
    fd = os.open(cgroup / file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())  # one write: the kernel takes each as a whole value
    finally:
        os.close(fd)


def move_self(cgroup: Path) -> None:
    """Move the calling process, all its threads, into the cgroup. Its memory stays charged where it was."""
    write_setting(cgroup, "cgroup.procs", 0)  # 0 = the writer, right in every pid namespace


def make_cgroup(path: Path) -> None:
    """Make a cgroup; the kernel fills the directory with its files."""
    path.mkdir()


def remove_cgroup(path: Path) -> None:
    """Remove an empty cgroup; its files go with it."""
    path.rmdir()


def _holds_none(path: Path) -> bool:
    """Whether the kernel lists no process there, nor a cgroup below."""
    try:
        return not (path / "cgroup.procs").read_bytes() and not any(entry.is_dir() for entry in path.iterdir())
    except OSError:
        return False


def remove_when_empty(path: Path) -> bool:
    """Remove a cgroup whose last processes are just ending, or give up after a second if some are not.

    Says if it is gone.
    """
    began = time.monotonic()
    pause_seconds = 0.002
    while True:
        try:
            remove_cgroup(path)
        except FileNotFoundError:
            return True
        except OSError as error:
            is_ending = error.errno == errno.EBUSY and _holds_none(path)
            patience = _ENDING_PATIENCE_SECONDS if is_ending else _REMOVAL_PATIENCE_SECONDS
            if time.monotonic() > began + patience:
                return False
            time.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, 0.1)
        else:
            return True


def unused_budget_path(parent: Path) -> Path:
    """Name a cgroup for the calling process in `parent`: oomguard-PID, with a number if that is taken."""
    name = f"oomguard-{os.getpid()}"
    names = [name, *(f"{name}-{number}" for number in range(2, 100))]
    return next(parent / name for name in names if not (parent / name).exists())


def remove_stale_budgets(parent: Path, root: Path = Path("/")) -> None:
    """Remove what killed runs left in `parent`: cgroups oomguard-PID with no process in them and PID dead.

    Never fails: one that cannot be removed is left for the next run.
    """
    try:
        found = [path for path in parent.iterdir() if _BUDGET_NAME.fullmatch(path.name)]
    except OSError:
        return
    for path in found:
        remove_stale_budgets(path, root)  # a run within a run
        pid = path.name.split("-")[1]
        if (root / "proc" / pid).exists() or read_kernel_text(path / "cgroup.procs") != "":
            continue
        try:
            remove_cgroup(path)
        except OSError:
            continue  # not empty after all, or not ours
