"""`oomguard release`: let a job that is held at its budget go on with more, or end it."""

from __future__ import annotations

from oomguard.errors import BadInput, BudgetTooSmall, NothingFound, WorkerFailed, edge
from oomguard.supervision.control_socket import ask_to_release
from oomguard.supervision.model import Released
from oomguard.supervision.options import read_budget
from oomguard.supervision.orphans import end_orphans, find_orphans, name_orphans
from oomguard.units import parse_size


@edge
def release(pid: int, *, max_rss: str | None = None, stop: bool = False, allow_swap: str | None = None) -> Released:
    """Ask the supervisor of `pid` to continue the job, with a new budget if one is given, or to `stop` it.

    Raises: NothingFound if nothing of `pid` is held; NeedsPrivilege if it is another user's; BudgetTooSmall if it holds
    more than the new budget; BadInput.
    """
    if stop and (max_rss or allow_swap):
        raise BadInput(
            "--stop ends the job, and a new budget continues it: give one of them", do=f"oomguard release {pid} --stop"
        )
    try:
        answer = ask_to_release(
            pid,
            stop=stop,
            max_rss=None if max_rss is None else read_budget(max_rss),
            opens_swap=allow_swap is not None,
            swap_max=None if allow_swap in (None, "max") else parse_size(allow_swap),
        )
    except NothingFound as error:
        return _end_what_was_left(pid, error, stop=stop)
    if not answer["ok"]:
        raise BudgetTooSmall(f"it stays frozen: {answer['text']}", do=f"oomguard release {pid} --max-rss MORE")
    return Released(pid=pid, stopped=stop, budget=answer["budget"])


def _end_what_was_left(pid: int, error: NothingFound, *, stop: bool) -> Released:
    """Of a run whose supervisor and reaper were killed together; `pid` is one of its processes, or its supervisor's."""
    orphans = find_orphans()
    runs = {orphan.supervisor for orphan in orphans if pid in (orphan.pid, orphan.supervisor)}
    found = [orphan for orphan in orphans if orphan.supervisor in runs]
    if not found:
        raise error
    if not stop:
        raise NothingFound(
            f"the supervisor of this run was killed, and nobody can continue it: {name_orphans(found)} was left",
            do=f"oomguard release {pid} --stop",
        ) from error
    if left := end_orphans(found):
        raise WorkerFailed(f"{name_orphans(left)} does not end", do=f"cat /proc/{left[0].pid}/stack") from error
    return Released(pid=pid, stopped=True, budget=None)
