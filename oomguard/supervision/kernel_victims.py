"""Whom the kernel killed in a job, when it was faster than the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oomguard.supervision.guard_record import GuardRecord
    from oomguard.supervision.launch import Enforcer


def name_victim(enforcer: Enforcer, record: GuardRecord) -> str | None:
    """The victim's name: of the processes at the last look, the largest that is gone. None: nobody was looked at.

    The kernel takes the largest process, so this is right unless it grew within the last look's quarter of a second;
    the kernel log, where it may be read, would say it for certain.
    """
    alive = set(enforcer.pids())
    gone = [process for process in record.samples.processes if process.pid not in alive]
    return f"{gone[0].name} (process {gone[0].pid})" if gone else None
