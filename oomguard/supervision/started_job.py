"""A job that is held before it begins: its reaper, its backend, and how they enforce the budget."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from oomguard.errors import CannotStart, WorkerFailed
from oomguard.records import dataclass
from oomguard.supervision.own_budget import tell_budget

if TYPE_CHECKING:
    from oomguard.supervision.backends.base import Backend
    from oomguard.supervision.options import Enforcement
    from oomguard.supervision.reaper import Reaper


@dataclass(frozen=True, kw_only=True)
class StartedJob:
    """A job that waits at its gate: `reaper.start()` lets it begin."""

    reaper: Reaper
    backend: Backend
    enforcement: Enforcement

    def begin(self, name: str, explanation: str) -> None:
        """Open the gate. A job of ours is told its budget, which comes from where `explanation` says.

        Raises: CannotStart if there is no such command as `name`; WorkerFailed if it was killed while it waited.
        """
        number = self.reaper.start(tell_budget(self.enforcement, self.backend.cgroup, explanation))
        if number == errno.ESRCH:
            raise WorkerFailed("the command was killed before it began", do="run the same command again")
        if number:
            raise CannotStart(name, number)

    def linger(self, report: str | None) -> None:
        """The command is over, and some of what it started continues: the reaper sees to it, and cleans up after it.

        What is killed for memory later is added to the `report`.
        """
        self.reaper.linger(self.backend.kind, self.backend.limits.budget, self.backend.cgroup, report)

    def abort(self) -> None:
        """End it before it began, or after a failure of the supervisor's. Raises: nothing."""
        self.reaper.abort()
        self.backend.close()
