"""What is left over from a run whose supervisor and reaper were killed together: found by a mark, named, and ended.

Each command has the mark of its run in its environment, and so has whatever it starts. Nobody continues, limits or
thaws such a process any more.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.proc import ProcFiles
from oomguard.kernel.process import signal_if
from oomguard.records import dataclass
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_VARIABLE = "OOMGUARD_JOB"
_LONGEST_ENVIRONMENT = 1 << 20
_PATIENCE_SECONDS = 5.0
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """One process that was left."""

    pid: int
    name: str
    start_ticks: int
    supervisor: int  # the pid that its supervisor had


def mark_job(supervisor_pid: int, reaper_pid: int) -> None:
    """Put the mark into the environment of what this process executes. Raises: nothing."""
    reaper = ProcFiles().stat(reaper_pid)
    if reaper is not None:
        os.environ[_VARIABLE] = f"{supervisor_pid}:{reaper_pid}:{reaper.start_ticks}"


def find_orphans(*, of_all_users: bool = False, root: Path = Path("/")) -> list[Orphan]:
    """The processes whose run has no reaper any more. Raises: nothing; what may not be read is left out."""
    proc = ProcFiles(root)
    own = os.geteuid()
    own_names = _namespaces(proc, "self")
    found: list[Orphan] = []
    for pid in (int(name) for name in proc.names(".") if name.isdecimal()):
        try:
            if not of_all_users and os.stat(proc.path(str(pid))).st_uid != own:  # noqa: PTH116 - called often
                continue
        except OSError:
            continue
        mark = _read_mark(proc.read(f"{pid}/environ", _LONGEST_ENVIRONMENT))
        if mark is None or _is_alive(mark, proc):
            continue
        if _namespaces(proc, str(pid)) != own_names:
            continue  # the mark's numbers mean something else there, as in a container: its reaper may well live
        stat = proc.stat(pid)
        if stat is not None and stat.state not in "ZX":
            found.append(Orphan(pid=pid, name=stat.name, start_ticks=stat.start_ticks, supervisor=mark[0]))
    return found


def end_orphans(orphans: Sequence[Orphan]) -> list[Orphan]:
    """SIGKILL them, which ends the frozen, the stopped and the parked too; gives those that are still there."""
    for orphan in orphans:
        signal_if(orphan.pid, signal.SIGKILL, lambda stat, same=orphan.start_ticks: stat.start_ticks == same)  # type: ignore[misc]  # mypy: a lambda's default
    proc = ProcFiles()
    until = time.monotonic() + _PATIENCE_SECONDS
    left = list(orphans)
    while left and time.monotonic() < until:
        time.sleep(0.002)
        left = [orphan for orphan in left if _is_there(orphan, proc)]
    return left


def name_orphans(orphans: Sequence[Orphan]) -> str:
    """Them, for people."""
    named = ", ".join(f"{orphan.pid} ({printable(orphan.name)})" for orphan in orphans[:_NAMED])
    more = f" and {len(orphans) - _NAMED} more" if len(orphans) > _NAMED else ""
    return f"{'process' if len(orphans) == 1 else 'processes'} {named}{more}"


def _read_mark(environment: str) -> tuple[int, int, int] | None:
    for variable in environment.split("\0"):
        if variable.startswith(f"{_VARIABLE}="):
            numbers = variable.partition("=")[2].split(":")
            if len(numbers) == 3 and all(n.isascii() and n.isdecimal() and len(n) < 20 for n in numbers):
                return int(numbers[0]), int(numbers[1]), int(numbers[2])
    return None


def _namespaces(proc: ProcFiles, pid: str) -> tuple[str | None, ...]:
    """Those by which pids and the times of starts are counted."""
    found: list[str | None] = []
    for kind in ("pid", "time"):  # Linux 5.6 has those of time
        try:
            found.append(str(Path(proc.path(f"{pid}/ns/{kind}")).readlink()))
        except FileNotFoundError:
            found.append(None)
        except OSError:
            found.append(f"of {pid}, which may not be read")
    return tuple(found)


def _is_alive(mark: tuple[int, int, int], proc: ProcFiles) -> bool:
    _, reaper_pid, start_ticks = mark
    reaper = proc.stat(reaper_pid)
    return reaper is not None and reaper.start_ticks == start_ticks and reaper.state not in "ZX"


def _is_there(orphan: Orphan, proc: ProcFiles) -> bool:
    stat = proc.stat(orphan.pid)
    return stat is not None and stat.start_ticks == orphan.start_ticks and stat.state not in "ZX"
