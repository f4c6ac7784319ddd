"""`oomguard release`: let a job that is held at its budget go on with more, or end it."""

from __future__ import annotations

from oomguard.errors import BadInput, BudgetTooSmall
from oomguard.supervision.control_socket import ask_to_release
from oomguard.supervision.options import read_budget
from oomguard.supervision.screens.release import Released
from oomguard.units import parse_size


def release(pid: int, *, max_rss: str | None = None, stop: bool = False, allow_swap: str | None = None) -> Released:
    """Ask the supervisor of `pid` to go on with the job, with a new budget if one is given, or to `stop` it.

    Raises: NothingFound if nothing of `pid` is held; NeedsPrivilege if it is another user's; BudgetTooSmall if it holds
    more than the new budget; BadInput.
    """
    if stop and (max_rss or allow_swap):
        raise BadInput("--stop ends the job, and a new budget lets it go on", do=f"oomguard release {pid} --stop")
    answer = ask_to_release(
        pid,
        stop=stop,
        max_rss=None if max_rss is None else read_budget(max_rss),
        opens_swap=allow_swap is not None,
        swap_max=None if allow_swap in (None, "max") else parse_size(allow_swap),
    )
    if not answer["ok"]:
        raise BudgetTooSmall(f"it stays held: {answer['text']}", do=f"oomguard release {pid} --max-rss MORE")
    return Released(pid=pid, stopped=stop, budget=answer["budget"])
