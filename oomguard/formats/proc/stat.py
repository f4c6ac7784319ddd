"""One process, as /proc/PID/stat tells it. Source: Linux fs/proc/array.c, do_task_stat(); proc_pid_stat(5)."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

# The name may hold anything, ")" and line ends too; what follows it is numbers, and bounded for int()'s sake.
_STAT = re.compile(r"([0-9]{1,10}) \((.*)\) (\S)((?: -?[0-9]{1,20}){19,})\s*", re.DOTALL)
_IGNORED = 29  # field 33, the signals that it ignores


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcStat:
    """Who a process is. A pid with the same `start_ticks` is the same process."""

    pid: int
    name: str  # the kernel's comm: at most 15 bytes, and whatever the process chose
    state: str  # R S D T t Z X I
    parent_pid: int
    process_group: int
    session: int
    tty: int  # the controlling terminal's device number; 0: none
    start_ticks: int  # clock ticks after boot
    rss_pages: int = 0  # what is resident, as far as the kernel has counted it together
    faults: int = 0  # page faults, minor and major
    faults_of_children: int = 0  # of those that it has waited for, and theirs
    ignores_children: bool = False  # SIGCHLD: the kernel waits for them, and nobody gets their numbers


def parse_proc_stat(text: str) -> ProcStat | None:
    """Read /proc/PID/stat. None: this is not one, as for a process that ended meanwhile. Raises: nothing."""
    match = _STAT.fullmatch(text)
    if match is None:
        return None
    numbers = [int(number) for number in match[4].split()]
    return ProcStat(
        pid=int(match[1]),
        name=match[2],
        state=match[3],
        parent_pid=numbers[0],
        process_group=numbers[1],
        session=numbers[2],
        tty=numbers[3],
        start_ticks=numbers[18],
        rss_pages=numbers[20] if len(numbers) > _IGNORED else 0,
        faults=numbers[6] + numbers[8],
        faults_of_children=numbers[7] + numbers[9],
        ignores_children=len(numbers) > _IGNORED and bool(numbers[_IGNORED] >> signal.SIGCHLD - 1 & 1),
    )
