"""Hold a whole job where it is, and let it continue.

A cgroup's freezer holds processes without their noticing. SIGSTOP, for where there is none, is seen by a parent
that asks (a shell shows a stopped job), and is sent again until no member of the tree runs any more, as one may
fork while the others are being stopped.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.cgroup import parse_count
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.proc import ProcFiles
from oomguard.kernel.process import signal_if

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.proc import ProcStat

    IsMember = Callable[[ProcStat], bool]

# A process in a long system call, such as a read() of a gigabyte, stops when that ends: it is read as it is.
_FREEZE_PATIENCE_SECONDS = 1.0
_STOP_PATIENCE_SECONDS = 0.3


class CgroupFreezer:
    """The freezer of a v2 cgroup, which may have no other controller."""

    def __init__(self, path: Path, pids: Callable[[], list[int]]) -> None:
        """Freeze what is in the cgroup `path`; `pids` gives its processes."""
        self._path = path
        self._pids = pids

    def freeze(self) -> bool:
        """Freeze, and wait until nothing runs (measured: 1 ms; 134 ms in an emulated guest); says whether it does.

        Raises: OSError if the kernel refuses.
        """
        cgroup_files.write_setting(self._path, "cgroup.freeze", 1)
        until = time.monotonic() + _FREEZE_PATIENCE_SECONDS
        pause_seconds = 0.0005
        while time.monotonic() < until:
            if self._is_frozen(look_closer=pause_seconds > 0.01):
                return True
            time.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, 0.02)
        return False

    def thaw(self) -> None:
        """Let it continue. Raises: nothing: a cgroup that is gone holds nothing."""
        try:
            cgroup_files.write_setting(self._path, "cgroup.freeze", 0)
        except OSError:
            return

    def _is_frozen(self, *, look_closer: bool) -> bool:
        if parse_count(read_kernel_text(self._path / "cgroup.events") or "", "frozen") == 1:
            return True
        if not look_closer:
            return False
        # The kernel does not call a cgroup frozen while a task is parked at its limit in it.
        proc = ProcFiles()
        states = [stat.state for pid in self._pids() if (stat := proc.stat(pid)) is not None]
        return "R" not in states and "D" in states


class StopSignals:
    """SIGSTOP and SIGCONT to each process of a tree."""

    def __init__(
        self, pids: Callable[[], list[int]], membership: Callable[[list[int]], IsMember], root: Path = Path("/")
    ) -> None:
        """Stop what `pids` gives, and of that only what `membership` of it knows."""
        self._pids = pids
        self._membership = membership
        self._proc = ProcFiles(root)
        self._stopped: dict[int, int] = {}  # pid -> start_ticks; not those that were stopped before

    def freeze(self) -> bool:
        """Stop them, and wait until none runs; False: one still does, in a system call. Raises: nothing."""
        proc = self._proc
        until = time.monotonic() + _STOP_PATIENCE_SECONDS
        while time.monotonic() < until:
            pids = self._pids()
            is_member = self._membership(pids)
            waiting = False
            for pid in pids:
                stat = proc.stat(pid)
                if stat is None or stat.state in "TtZX":
                    continue
                if self._stopped.get(pid) == stat.start_ticks:
                    waiting = waiting or stat.state != "D"  # a task parked in the kernel is held already
                elif signal_if(pid, signal.SIGSTOP, is_member):
                    self._stopped[pid] = stat.start_ticks
                    waiting = True
            if not waiting:
                return True
            time.sleep(0.0005)
        return False

    def thaw(self) -> None:
        """Continue those that were stopped here. Raises: nothing."""
        for pid, start_ticks in self._stopped.items():
            signal_if(pid, signal.SIGCONT, lambda stat, same=start_ticks: stat.start_ticks == same)  # type: ignore[misc]  # mypy: a lambda's default
        self._stopped.clear()
