"""Start a command under the best enforcement to be had: it is inside of its limits before it executes anything."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.meminfo import parse_meminfo
from oomguard.kernel.cgroup.directory import find_own_cgroup, read_kernel_text
from oomguard.kernel.cgroup.limits import limits_around
from oomguard.kernel.cgroup.model import SUPERVISOR_MEMORY, LimitAbove
from oomguard.kernel.cgroup.refusals import MemcgUnavailable
from oomguard.kernel.proc.tree import ProcessTree
from oomguard.kernel.process.prctl import become_subreaper
from oomguard.supervision.backends.cgroup_setup import open_cgroup
from oomguard.supervision.reaper import Reaper, start_reaper
from oomguard.supervision.rules.choice import Enforcement, Refusal, ways_to_try

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.supervision.backends.base import Backend
    from oomguard.supervision.backends.cgroup import CgroupBackend
    from oomguard.supervision.backends.systemd import ScopeManager
    from oomguard.supervision.rules.choice import Choice

_DESCRIPTORS = 24  # that a supervisor opens at most, at its start or while it looks


@dataclass(frozen=True, kw_only=True)
class StartedJob:
    """A job that waits at its gate: `reaper.start()` lets it begin."""

    reaper: Reaper
    backend: Backend
    enforcement: Enforcement

    def linger(self) -> None:
        """The command is over, and some of what it started goes on: the reaper sees to it, and cleans up after it."""
        self.reaper.linger(self.backend.kind, self.backend.limits.budget, self.backend.cgroup)

    def abort(self) -> None:
        """End it before it began, or after a failure of the supervisor's. Raises: nothing."""
        self.reaper.abort()
        self.backend.close()


def start_job(
    command: Sequence[str],
    asked: int,
    *,
    choice: Choice = "auto",
    swap_max: int | None = 0,
    mask: set[int] | None = None,
) -> StartedJob:
    """Fork `command` under a budget of `asked` bytes, held by the best way that `choice` allows.

    `swap_max`: how much of it may be swapped out; None: no limit. `mask`: the signal mask that it gets.
    Raises: MemcgUnavailable if `choice` leaves no way; OSError if there are no descriptors or processes to be had.
    Nothing is left of the job then.
    """
    _need_descriptors()
    bystanders = frozenset(ProcessTree(os.getpid(), with_root=False).pids())
    become_subreaper()
    above = _machine_limit()
    memcg, manager, refusals = _find_place(asked, above, choice, swap_max)
    try:
        reaper = start_reaper(
            command, clean_up=memcg.close if memcg is not None else _nothing, mask=mask if mask is not None else set()
        )
    except BaseException:
        if memcg is not None:
            memcg.close()
        raise
    try:
        backend = _enforce(memcg, manager, reaper, asked, above, choice, swap_max, refusals, bystanders)
    except BaseException:
        reaper.abort()
        if memcg is not None:
            memcg.close()
        raise
    return StartedJob(reaper=reaper, backend=backend, enforcement=_describe(backend, refusals, swap_max))


def probe_enforcement(asked: int, choice: Choice = "auto") -> Enforcement:
    """Say how a job of `asked` bytes would be held here, by trying it with a command that never begins.

    Raises: MemcgUnavailable if `choice` leaves no way.
    """
    job = start_job(["true"], asked, choice=choice)
    job.abort()
    return job.enforcement


def _find_place(
    asked: int, above: list[LimitAbove], choice: Choice, swap_max: int | None, root: Path = Path("/")
) -> tuple[CgroupBackend | None, ScopeManager | None, list[Refusal]]:
    """The best way that can be found before there is a process: a cgroup of ours, or a systemd to ask for one."""
    own = find_own_cgroup(root)
    ways, refusals = ways_to_try(choice, own.version if own is not None else None)
    for way in ways:
        try:
            if way in ("cgroup v2", "cgroup v1"):
                return open_cgroup(asked, above, swap_max=swap_max, root=root), None, refusals
            if way == "systemd scope":
                from oomguard.supervision.backends.systemd import find_scope_manager  # here: most runs need none of it

                return None, find_scope_manager(root), refusals
        except MemcgUnavailable as error:
            refusals.append(Refusal(way=way, why=str(error), do=error.do))
    return None, None, refusals


def _enforce(
    memcg: CgroupBackend | None,
    manager: ScopeManager | None,
    reaper: Reaper,
    asked: int,
    above: list[LimitAbove],
    choice: Choice,
    swap_max: int | None,
    refusals: list[Refusal],
    bystanders: frozenset[int],
) -> Backend:
    if memcg is not None:
        try:
            memcg.add(reaper.job_pid)
        except (OSError, MemcgUnavailable) as error:
            memcg.close()
            refusals.append(
                Refusal(
                    way=memcg.kind,
                    why=f"the job could not be moved into {memcg.memcg.path}: {error}",
                    do="systemd-run --scope -p Delegate=yes oomguard run ...",
                )
            )
        else:
            return memcg
    if manager is not None:
        from oomguard.supervision.backends.systemd import open_scope

        try:
            return open_scope(manager, reaper.job_pid, reaper.pid, asked, above, swap_max=swap_max)
        except MemcgUnavailable as error:
            refusals.append(Refusal(way="systemd scope", why=str(error), do=error.do))
    if choice not in ("auto", "polling"):
        last = refusals[-1]
        raise MemcgUnavailable(f"--enforce {choice}: {last.why}", do=f"{last.do}; or leave --enforce out")
    from oomguard.supervision.backends.polling import PollingBackend

    polling = PollingBackend(asked, [*above, *limits_around()], bystanders)
    polling.watch_below(reaper.pid)
    return polling


def _describe(backend: Backend, refusals: list[Refusal], swap_max: int | None) -> Enforcement:
    way = backend.kind
    notes = list(backend.caveats)
    if way == "polling" and swap_max == 0:
        notes.append("swap cannot be closed without a cgroup: what was swapped out counts as used")
    return Enforcement(
        way=way,
        budget=backend.limits.budget,
        hard_limit=None if way == "polling" else backend.limits.hard,
        cannot=backend.cannot,
        notes=tuple(notes),
        refusals=tuple(refusals),
    )


def _need_descriptors() -> None:
    """Fail before there is a job, not when it must be looked at. Raises: OSError."""
    opened: list[int] = []
    try:
        for _ in range(_DESCRIPTORS):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # noqa: PERF401 - those before a failure too
    finally:
        for fd in opened:
            os.close(fd)


def _machine_limit() -> list[LimitAbove]:
    total = parse_meminfo(read_kernel_text(Path("/proc/meminfo")) or "").total
    return [] if total is None else [LimitAbove(whose="this machine's memory", limit=total, beside=SUPERVISOR_MEMORY)]


def _nothing() -> None:
    """Clean up after a job that has no cgroup."""
