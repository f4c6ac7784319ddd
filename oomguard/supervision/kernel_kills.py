"""Whom the kernel killed for memory in a job: without a cgroup of its own, and after its supervisor had ended.

Certain where the kernel's log may be read and counts processes as this one does (/dev/kmsg, in the first pid
namespace). Else what the counter of the cgroup around the tree says, which counts others there as well.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import NotOurs
from oomguard.kernel import safe_files
from oomguard.kernel.cgroup.directory import MemcgDir, find_own_memcg
from oomguard.kernel.machine import oom_kills_since_boot
from oomguard.supervision.model import SCHEMA

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


_PATIENCE_SECONDS, _STEP_SECONDS = 5.0, 0.05  # the report is written when the command has ended
_LARGEST = 64 << 20


class LaterKills:
    """Counts from when it was made: processes that outlived the command, and were killed at its budget."""

    def __init__(self, kind: str, cgroup: str) -> None:
        """`cgroup`: that of the job, held by a backend of this `kind`; "": it has none."""
        path = Path(cgroup)
        self._memcg = MemcgDir(path, 1 if kind == "cgroup v1" else 2, path.parent) if cgroup else None
        self._before = self._counted()
        self.ended = 0  # by the reaper, under polling, and then by the kernel

    def count(self) -> None:
        """See whom the kernel killed, while the cgroup is still there."""
        self.ended += self._counted() - self._before

    def add_to(self, report: Path) -> None:
        """Note it in a report of ours. What became another file, or is no report, is left alone. Raises: nothing."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while self.ended and not _add(report, self.ended) and time.monotonic() < until:
            time.sleep(_STEP_SECONDS)

    def _counted(self) -> int:
        return (self._memcg.oom_kills() or 0) if self._memcg is not None else 0


def _add(report: Path, killed: int) -> bool:
    try:
        fd = safe_files.open_there(report)
    except (OSError, NotOurs):
        return False
    with os.fdopen(fd, "r+b") as file:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or status.st_size > _LARGEST:
            return False
        try:
            facts = json.loads(file.read())
        except ValueError:
            return False
        if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
            return False
        facts["killed_later"] = killed
        file.seek(0)
        file.write(json.dumps(facts).encode() + b"\n")
        file.truncate()
    return True
