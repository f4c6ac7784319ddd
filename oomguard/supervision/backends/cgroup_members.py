"""The processes in a job's cgroup: taken in, listed, frozen, signalled and ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.cgroup import parse_proc_cgroup
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import MemcgDir, read_kernel_text
from oomguard.kernel.cgroup.freezer import CgroupFreezer, StopSignals
from oomguard.kernel.cgroup.refusals import LimitDidNotStick
from oomguard.kernel.process import signal_if
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.proc import ProcStat

_KILL_PATIENCE_SECONDS = 10.0


@dataclass(kw_only=True)
class CgroupMembers:
    """Those of one memory cgroup."""

    memcg: MemcgDir
    companion: Path | None  # a v2 cgroup without controllers, beside a v1 memory cgroup
    _stopper: StopSignals | None = None

    def add(self, pid: int) -> None:
        """Move a process in, with all it starts later. Raises: OSError; LimitDidNotStick if it is not in then."""
        cgroup_files.write_setting(self.memcg.path, "cgroup.procs", pid)
        if self.companion is not None:
            try:
                cgroup_files.write_setting(self.companion, "cgroup.procs", pid)
            except OSError:
                # v1, whose cgroups are made below one's own: back there, or it keeps a limit that nobody lifts.
                cgroup_files.write_setting(self.memcg.path.parent, "cgroup.procs", pid)
                raise
        if not self._has(pid):
            raise LimitDidNotStick("the job was moved into", self.memcg.path, pid, "another cgroup")

    def pids(self) -> list[int]:
        """Its processes, those in cgroups below counted in."""
        pids: dict[int, None] = {}
        for folder, _, _ in os.walk(self.memcg.path):
            pids |= {int(pid): None for pid in (read_kernel_text(Path(folder, "cgroup.procs")) or "").split()}
        return list(pids)

    def freeze(self) -> bool:
        """Hold every process where it is; False: one still runs, in a system call.

        Raises: OSError if the kernel refuses.
        """
        return self._freezer().freeze()

    def thaw(self) -> None:
        """Let them continue. Raises: nothing."""
        self._freezer().thaw()

    def signal(self, number: int, only: Callable[[int], bool] = lambda _: True) -> None:
        """Send a signal to each of its processes, or to those of them that `only` names. Raises: nothing."""
        for pid in filter(only, self.pids()):
            signal_if(pid, number, self._is_member)

    def kill(self) -> None:
        """SIGKILL all of it, frozen or parked, and wait until nothing is left. Raises: nothing."""
        until = time.monotonic() + _KILL_PATIENCE_SECONDS
        while self.pids() and time.monotonic() < until:
            if not self._kill_at_once():
                self.signal(signal.SIGKILL)
            time.sleep(0.002)
        self.thaw()

    def _freezer(self) -> CgroupFreezer | StopSignals:
        path = self.memcg.path if self.memcg.version == 2 else self.companion
        if path is not None and (path / "cgroup.freeze").exists():
            return CgroupFreezer(path, self.pids)
        if self._stopper is None:
            self._stopper = StopSignals(self.pids, lambda _: self._is_member)
        return self._stopper

    def _kill_at_once(self) -> bool:
        path = self.memcg.path if self.memcg.version == 2 else self.companion
        try:
            if path is None:
                return False
            cgroup_files.write_setting(path, "cgroup.kill", 1)  # since Linux 5.14
        except OSError:
            return False
        return True

    def _is_member(self, stat: ProcStat) -> bool:
        return self._has(stat.pid)

    def _has(self, pid: int) -> bool:
        cgroups = parse_proc_cgroup(read_kernel_text(Path(f"/proc/{pid}/cgroup")) or "")
        cgroup = cgroups.get("memory" if self.memcg.version == 1 else "")
        return cgroup is not None and f"{self.memcg.name}/" in f"{cgroup}/"
