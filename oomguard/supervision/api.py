"""`oomguard run --max-rss SIZE -- COMMAND`: any command, unmodified, held at its budget, read, and only then ended."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oomguard.errors import BudgetExceeded, edge
from oomguard.supervision.options import RunOptions, read_budget
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from oomguard.supervision.options import OnLimit
    from oomguard.supervision.outcome import RunOutcome
    from oomguard.supervision.rules.enforcement import Choice

__all__ = ["ChildrenBudget", "budget", "run"]


@edge
def run(
    command: Sequence[str],
    *,
    max_rss: int | str,
    enforce: Choice = "auto",
    on_limit: OnLimit = "stop",
    grace_seconds: float = 10.0,
    swap_max: int | None = 0,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
) -> RunOutcome:
    """Run a command under a budget and wait for it; the outcome says what became of it, and why.

    `max_rss` is in bytes, or as on the command line: "12GiB", "80%". `swap_max`: bytes that may be swapped out; None:
    no limit. The rest is as in subprocess.run(). The supervisor is a separate process, so that this one keeps its
    signals, children and memory to itself.
    Raises: CannotStart if there is no such command; BadInput; BudgetTooSmall; MemcgUnavailable if `enforce` leaves
    no way.
    """
    from oomguard.supervision.supervisor_process import run_supervised

    options = RunOptions(
        command=tuple(os.fspath(part) for part in command),
        max_rss=_as_budget(max_rss),
        enforce=enforce,
        on_limit=on_limit,
        grace_seconds=grace_seconds,
        swap_max=swap_max,
    )
    return run_supervised(options, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr)


@dataclass(slots=True)
class ChildrenBudget:
    """The budget of a `with oomguard.budget()` block."""

    outcome: RunOutcome | None = None  # what became of the children; None until the block ends


@contextmanager
def budget(max_rss: int | str, *, grace_seconds: float = 2.0) -> Iterator[ChildrenBudget]:
    """Hold the processes that this one starts within the block, and their descendants, to one budget together.

    This process itself, and its children from before, do not count and are not touched. The children are watched over
    /proc by a separate process, which loses sight of a child that leaves its parents by a double fork. At the budget
    they are stopped, read, and ended.
    Raises: BudgetExceeded at the end of the block if that happened; what the block raised meanwhile (a broken pool, a
    failed command) is its cause.
    """
    from oomguard.supervision.children import watch_children

    held = ChildrenBudget()
    failure: BaseException | None = None
    with watch_children(_as_budget(max_rss), grace_seconds) as watcher:
        try:
            yield held
        except BaseException as error:  # noqa: BLE001 - raised again below
            failure = error
        if not watcher.is_ours:  # forked within the block, and leaves it as well
            if failure is not None:
                raise failure
            return
        held.outcome = watcher.finish()
    if failure is not None and not isinstance(failure, Exception):
        raise failure  # Ctrl-C, or an end that was asked for: it goes first
    if held.outcome.stopped_by == "budget":
        stopped = held.outcome
        where = f": {stopped.where()}" if stopped.where() else ""
        raise BudgetExceeded(
            f"the children of this process reached {format_size(stopped.held_unreclaimable or 0)}, "
            f"and their budget was {format_size(stopped.budget)}{where}",
            do=stopped.advice[0] if stopped.advice else "fewer children at a time, or a larger budget",
            outcome=stopped,
        ) from failure
    if failure is not None:
        raise failure


def _as_budget(max_rss: int | str) -> int:
    return read_budget(max_rss if isinstance(max_rss, str) else f"{max_rss}B")  # a number is bytes
