"""Whom the kernel killed for memory in a tree of processes that has no cgroup of its own.

Certain where the kernel's log may be read and counts processes as this one does (/dev/kmsg, in the first pid
namespace). Else what the counter of the cgroup around the tree says, which counts others there as well.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.cgroup.directory import find_own_memcg
from oomguard.kernel.machine import oom_kills_since_boot

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO in include/linux/proc_ns.h


class TreeKills:
    """Counts from when it was made."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Note what was counted before."""
        self._root = root
        self._began = time.time()
        self._memcg = find_own_memcg(root)
        self._before = self._counted()
        self._machine_before = oom_kills_since_boot(root)

    def count(self, pids: AbstractSet[int], *, ended_by_sigkill: bool) -> int:
        """How many of `pids` the kernel killed. Raises: nothing.

        `ended_by_sigkill`: one of them was; where the kernel's log cannot be read, a kill there is taken for that.
        """
        machine = oom_kills_since_boot(self._root)
        if machine is not None and machine == self._machine_before:
            return 0
        if self._log_names_our_pids():
            from oomguard.kernel.logs.sources import kernel_kills_since  # here: most runs end without a kill

            kills = kernel_kills_since(self._began, self._root)
            return len({victim.pid for kill in kills for victim in kill.victims} & pids)
        return max(0, self._counted() - self._before) if ended_by_sigkill else 0

    def _counted(self) -> int:
        return (self._memcg.oom_kills() or 0) if self._memcg is not None else 0

    def _log_names_our_pids(self) -> bool:
        try:
            if (self._root / "proc/self/ns/pid").stat().st_ino != _FIRST_PID_NAMESPACE:
                return False
            os.close(os.open(self._root / "dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            return False
        return True
