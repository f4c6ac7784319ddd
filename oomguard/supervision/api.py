"""`oomguard run --max-rss SIZE -- COMMAND`: any command, unmodified, held at its budget, read, and only then ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oomguard.errors import BudgetExceeded, WorkerFailed, edge, explain
from oomguard.kernel.proc import ProcessTree, ProcFiles
from oomguard.kernel.process import own_command, signal_if
from oomguard.supervision.model import RunOutcome
from oomguard.supervision.options import RunOptions, read_budget
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from oomguard.supervision.options import Choice, OnLimit

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
    Raises: CannotStart if there is no such command; BadInput; BudgetTooSmall; MemcgUnavailable if no backend that
    `enforce` allows can be used.
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
    they are stopped, their stacks are read, and they are ended.
    Raises: BudgetExceeded at the end of the block if that happened; what the block raised meanwhile (a broken pool, a
    failed command) is its cause.
    """
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


class ChildrenWatcher:
    """The calling process's side."""

    def __init__(self, process: subprocess.Popen[bytes], before: frozenset[int]) -> None:
        """`process` has said that it is ready; the children `before` are not its to watch."""
        self._process = process
        self._owner = os.getpid()
        self._before = before
        self._answer = b""
        # A thread, because the caller may wait for a child that stands still, with nobody left to continue it.
        self._reader = threading.Thread(target=self._read, name="oomguard-budget", daemon=True)
        self._reader.start()

    def finish(self) -> RunOutcome:
        """Let it end, and give what it saw. Raises: WorkerFailed if it is gone."""
        self.close()
        if not self._answer:
            raise WorkerFailed(
                "the process that watches the children ended: nothing held them to their budget",
                do="see the kernel log",
            )
        return RunOutcome.from_json(json.loads(self._answer))

    @property
    def is_ours(self) -> bool:
        """Whether this process began the block, and was not forked in it: that one leaves it, too, and ends nothing."""
        return os.getpid() == self._owner

    def close(self) -> None:
        """Let it end. Raises: nothing."""
        assert self._process.stdin is not None
        if not self.is_ours:
            return
        with suppress(OSError, ValueError):
            # Said, not only closed: what was forked in the block has this end of the pipe, too.
            self._process.stdin.write(b"end\n")
        with suppress(OSError):
            self._process.stdin.close()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._answer = self._process.stdout.read()
        if not self._answer:
            continue_children(self._before | {self._process.pid})


def continue_children(without: frozenset[int]) -> None:
    """SIGCONT to each descendant that is stopped: whoever stopped it cannot do that any more. Raises: nothing."""
    proc = ProcFiles()
    for pid in ProcessTree(os.getpid(), with_root=False, without=without).pids():
        stat = proc.stat(pid)
        if stat is not None and stat.state == "T":
            signal_if(pid, signal.SIGCONT, lambda now, same=stat.start_ticks: now.start_ticks == same)  # type: ignore[misc]  # mypy: a lambda's default


@contextmanager
def watch_children(max_rss: int, grace_seconds: float) -> Iterator[ChildrenWatcher]:
    """Have what the calling process starts in the block watched. Whatever ends the block, nothing stays stopped."""
    before = frozenset(ProcessTree(os.getpid(), with_root=False).pids())
    command = own_command("oomguard.supervision.children_watcher", str(os.getpid()), str(max_rss), str(grace_seconds))
    # Unbuffered: the lock of a buffer, which the reader holds, would be held for ever in a process forked meanwhile.
    pipe = subprocess.PIPE
    try:
        if (refusal := ProcFiles().refusal()) is not None:
            raise refusal  # without /proc nothing would be seen of them
        started = subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=0, bufsize=0)
    except OSError as error:
        why = explain(error)
        assert why is not None  # of an OSError there is always something to say
        raise WorkerFailed(f"the process that watches the children did not start: {why}", do=why.do) from error
    with started as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            process.kill()
            raise WorkerFailed("the process that watches the children did not start", do="see its traceback above")
        watcher = ChildrenWatcher(process, before)
        try:
            yield watcher
        finally:
            watcher.close()
