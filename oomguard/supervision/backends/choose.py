"""Find the best backend that a machine, and a user's rights, allow; the last of them always does."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.cgroup.directory import find_own_cgroup
from oomguard.kernel.cgroup.refusals import MemcgUnavailable
from oomguard.records import dataclass
from oomguard.supervision.options import BudgetRequest, Enforcement, Refusal, ways_to_try

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.kernel.model import LimitAbove
    from oomguard.supervision.backends.base import Backend
    from oomguard.supervision.backends.systemd import ScopeManager


@dataclass(kw_only=True)
class Place:
    """What can be had before there is a process: a cgroup of ours, a systemd to ask for one, or neither."""

    request: BudgetRequest
    above: list[LimitAbove]
    around: Callable[[], list[LimitAbove]]  # what holds for a job without a cgroup of its own
    cgroup: Backend | None = None
    manager: ScopeManager | None = None
    refusals: list[Refusal] = field(default_factory=list)

    def close(self) -> None:
        """Remove what was made."""
        if self.cgroup is not None:
            self.cgroup.close()

    def take_in(self, job_pid: int, reaper_pid: int, bystanders: frozenset[int]) -> Backend:
        """Put the job's first process, which waits below the reaper, under the budget.

        Raises: MemcgUnavailable if the request leaves no way.
        """
        backend = self._into_our_cgroup(job_pid) or self._into_a_scope(job_pid, reaper_pid)
        if backend is not None:
            return backend
        if self.request.choice not in ("auto", "polling"):
            last = self.refusals[-1]
            raise MemcgUnavailable(
                f"--enforce {self.request.choice}: {last.why}", do=f"{last.do}; or leave --enforce out"
            )
        from oomguard.supervision.backends.polling import PollingBackend  # here: most runs need none of it

        polling = PollingBackend(self.request.size, [*self.above, *self.around()], bystanders)
        polling.watch_below(reaper_pid)
        return polling

    def _into_our_cgroup(self, job_pid: int) -> Backend | None:
        if self.cgroup is None:
            return None
        try:
            self.cgroup.add(job_pid)
        except (OSError, MemcgUnavailable) as error:
            self.cgroup.close()
            why = f"the job could not be moved into {self.cgroup.cgroup}: {error}"
            do = "systemd-run --scope -p Delegate=yes oomguard run ..."
            self.refusals.append(Refusal(way=self.cgroup.kind, why=why, do=do))
            self.cgroup = None
        return self.cgroup

    def _into_a_scope(self, job_pid: int, reaper_pid: int) -> Backend | None:
        if self.manager is None:
            return None
        from oomguard.supervision.backends.systemd import open_scope

        try:
            return open_scope(
                self.manager,
                job_pid,
                reaper_pid,
                self.request.size,
                self.above,
                swap_max=self.request.swap_max,
                keeps_itself=self.request.keeps_itself,
            )
        except MemcgUnavailable as error:
            self.refusals.append(Refusal(way="systemd scope", why=str(error), do=error.do))
            return None


def find_place(
    request: BudgetRequest,
    above: list[LimitAbove],
    *,
    around: Callable[[], list[LimitAbove]] = list,
    root: Path = Path("/"),
) -> Place:
    """Find the best place for a job.

    `above` are limits that hold from elsewhere; `around` finds those of this process's own cgroups.
    Raises: nothing.
    """
    own = find_own_cgroup(root)
    ways, refusals = ways_to_try(request.choice, own.version if own is not None else None)
    place = Place(request=request, above=above, around=around, refusals=refusals)
    for way in ways:
        try:
            if way in ("cgroup v2", "cgroup v1"):
                from oomguard.supervision.backends.cgroup_setup import open_cgroup  # here, and so on: one is needed

                place.cgroup = open_cgroup(
                    request.size,
                    above,
                    swap_max=request.swap_max,
                    keeps_itself=request.keeps_itself,
                    root=root,
                )
                return place
            if way == "systemd scope":
                from oomguard.supervision.backends.systemd import find_scope_manager

                place.manager = find_scope_manager(root)
                return place
        except MemcgUnavailable as error:
            refusals.append(Refusal(way=way, why=str(error), do=error.do))
    return place


def describe(backend: Backend, place: Place) -> Enforcement:
    """Say who holds the job, and how far that goes."""
    return Enforcement(
        way=backend.kind,
        budget=backend.limits.budget,
        hard_limit=None if backend.kind == "polling" else backend.limits.hard,
        cannot=backend.cannot,
        notes=backend.caveats,
        refusals=tuple(place.refusals),
    )
