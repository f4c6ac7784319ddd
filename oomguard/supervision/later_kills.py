"""What happens to the rest of a job when its supervisor has ended, in the report that the supervisor wrote."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

from oomguard.kernel.cgroup.directory import MemcgDir
from oomguard.supervision.model import SCHEMA

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
        fd = os.open(report, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(fd, "r+b") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size > _LARGEST:
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
