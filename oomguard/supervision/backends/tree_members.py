"""The processes of a job that has no cgroup: those below one process, listed, stopped, signalled and ended."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.cgroup.freezer import StopSignals
from oomguard.kernel.proc import ProcessTree, ProcFiles
from oomguard.kernel.process import signal_if

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.proc import ProcStat

_KILL_PATIENCE_SECONDS = 10.0
_SURE_LOOKS = 3


class TreeMembers:
    """Those below a process that is named later: nobody is, before."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._machine = root
        self._root: int | None = None
        self._tree: ProcessTree | None = None
        self._proc = ProcFiles(root)
        self._stopper = StopSignals(self.pids, self._membership, root)

    def look_below(self, pid: int, *, without: frozenset[int]) -> None:
        """They are below this process from now on, except for `without` and what these start."""
        self._root = pid
        self._tree = ProcessTree(pid, with_root=False, without=without, root=self._machine)

    def pids(self) -> list[int]:
        """The job's processes."""
        return self._tree.pids() if self._tree is not None else []

    def freeze(self) -> bool:
        """SIGSTOP to each; False: one still runs, in a system call. Raises: nothing."""
        return self._stopper.freeze()

    def thaw(self) -> None:
        """SIGCONT to those that were stopped. Raises: nothing."""
        self._stopper.thaw()

    def signal(self, number: int, only: Callable[[int], bool] = lambda _: True) -> None:
        """Send a signal to each process of the job, or to those of them that `only` names. Raises: nothing."""
        pids = self.pids()
        is_member = self._membership(pids)
        for pid in filter(only, pids):
            signal_if(pid, number, is_member)

    def kill(self) -> None:
        """SIGKILL all of it, and wait until nothing is left. Raises: nothing."""
        until = time.monotonic() + _KILL_PATIENCE_SECONDS
        looks = 0  # one that ends while the tree is read hands on children that were not seen
        while looks < _SURE_LOOKS and time.monotonic() < until:
            looks = 0 if self.is_alive() else looks + 1
            self.signal(signal.SIGKILL)
            time.sleep(0.002)
        if self._root == os.getpid():
            _bury(self.pids())

    def is_alive(self) -> bool:
        """Whether any of its processes still runs; a zombie does not."""
        stats = [self._proc.stat(pid) for pid in self.pids()]
        return any(stat is not None and stat.state not in "ZX" for stat in stats)

    def _membership(self, pids: list[int]) -> Callable[[ProcStat], bool]:
        """Whether a process's parent is the reaper or one of `pids`: that of a reused pid is another."""
        parents = {self._root, *pids}
        return lambda stat: stat.parent_pid in parents


def _bury(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ChildProcessError):  # its own parent still lives
            os.waitpid(pid, os.WNOHANG)
