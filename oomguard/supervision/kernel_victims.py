"""Whom the kernel killed in a job, when it was faster than the supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oomguard.supervision.backends.base import Backend
    from oomguard.supervision.run_record import RunRecord


def name_victim(backend: Backend, record: RunRecord) -> str | None:
    """The victim's name: of the processes at the last look, the largest that is gone. None: nobody was looked at.

    The kernel takes the largest process, so this is right unless it grew within the last look's quarter of a second;
    the kernel log, where it may be read, would say it for certain.
    """
    alive = set(backend.pids())
    gone = [process for process in record.samples.processes if process.pid not in alive]
    return f"{gone[0].name} (process {gone[0].pid})" if gone else None
