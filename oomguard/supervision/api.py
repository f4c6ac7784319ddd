"""`oomguard run --max-rss SIZE -- COMMAND`: any command, unmodified, held at its budget, read, and only then ended."""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from oomguard.errors import BadInput, BudgetExceeded, BudgetTooSmall, CannotStart, WorkerFailed
from oomguard.kernel.cgroup.model import LEAST_BUDGET
from oomguard.kernel.process.signalfd import SignalFile
from oomguard.supervision.launch import start_job
from oomguard.supervision.run_record import SupervisorEvents
from oomguard.supervision.supervisor import FORWARDED_SIGNALS, Supervisor
from oomguard.units import format_size, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from oomguard.kernel.proc.model import OpenInput
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.held_job import Snapshot
    from oomguard.supervision.launch import StartedJob
    from oomguard.supervision.model import RunOutcome, StoppedBy
    from oomguard.supervision.rules.choice import Choice, Enforcement
    from oomguard.supervision.run_record import OnLimit, RunRecord
    from oomguard.supervision.sampling import JobSamples

__all__ = ["ChildrenBudget", "RunEvents", "RunOptions", "Silence", "budget", "read_budget", "run", "supervise"]

_STOPPED_CODE = 137  # 128 + SIGKILL, as a shell shows a process that the kernel's OOM killer ended


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run a command. Sizes in bytes."""

    command: tuple[str, ...]
    max_rss: int
    enforce: Choice = "auto"
    on_limit: OnLimit = "stop"
    grace_seconds: float = 10.0
    swap_max: int | None = 0  # how much may be swapped out; None: no limit


class RunEvents(SupervisorEvents, Protocol):
    """What happens while a command runs."""

    def begins(self, enforcement: Enforcement) -> None:
        """The command is inside of its limits, and begins now."""


class Silence:
    """Says nothing while a command runs: the outcome does."""

    def begins(self, enforcement: Enforcement) -> None:
        """It begins."""

    def forecast(self, forecast: Forecast, read: OpenInput) -> None:
        """It will not fit."""

    def held(self, held: Snapshot, *, waits: bool, suggested: int) -> None:
        """It is held."""

    def released(self, budget: int) -> None:
        """It goes on."""

    def stays_held(self, why: str) -> None:
        """It cannot go on."""


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
    no limit. The rest is as in subprocess.run(). The supervisor is a process of its own, so that this one keeps its
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
    """Hold what this process starts within the block, and what that starts, to a budget together.

    This process itself, and its children from before, do not count and are not touched. The children are watched over
    /proc by a process of its own: one that leaves its parents by a double fork is lost from sight. At the budget they
    are stopped, read, and ended.
    Raises: BudgetExceeded at the end of the block if that happened; what the block raised meanwhile (a broken pool, a
    failed command) is its cause.
    """
    from oomguard.supervision.children import watch_children

    held = ChildrenBudget()
    failure: Exception | None = None
    with watch_children(_as_budget(max_rss), grace_seconds) as watcher:
        try:
            yield held
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
        held.outcome = watcher.finish()
    if held.outcome.stopped_by == "budget":
        stopped = held.outcome
        where = f": {stopped.where()}" if stopped.where() else ""
        raise BudgetExceeded(
            f"the children of this process held {format_size(stopped.held_unreclaimable or 0)}, and "
            f"{format_size(stopped.budget)} were allowed{where}",
            do=stopped.advice[0] if stopped.advice else "fewer children at a time, or a larger budget",
            outcome=stopped,
        ) from failure
    if failure is not None:
        raise failure


def _as_budget(max_rss: int | str) -> int:
    return read_budget(max_rss if isinstance(max_rss, str) else str(max_rss))


def read_budget(text: str) -> int:
    """Read a budget: a size, or a percentage of what is available now to a new job.

    Raises: BadInput if it is neither; BudgetTooSmall.
    """
    if text.strip().endswith("%"):
        number = text.strip().removesuffix("%")
        if not (number.isascii() and number.isdecimal() and 0 < int(number[:4]) <= 100 and len(number) < 4):
            raise BadInput(f'"{text}" is not a percentage from 1% to 100%', do="--max-rss 80%, or a size such as 12G")
        from oomguard.kernel.machine.headroom import read_headroom

        return read_headroom().available * int(number) // 100
    budget = parse_size(text)
    if budget < LEAST_BUDGET:
        raise BudgetTooSmall(
            f"--max-rss {text} is {format_size(budget)}, and a process that only starts needs "
            f"{format_size(LEAST_BUDGET)}",
            do="12G is 12 GiB; a number alone is bytes",
        )
    return budget


def supervise(
    options: RunOptions, events: RunEvents, *, watch: Callable[[StartedJob], Callable[[], float]] | None = None
) -> RunOutcome:
    """Run a command in this process's place, as far as its terminal, signals and children go, under a budget.

    For a process that does nothing else: it becomes a subreaper and takes its signals. A program that has more to do
    calls oomguard.run(), which starts such a process. `watch` makes, of the job that is about to begin, what is to look
    at it as well: a function that gives the seconds until it wants to look again.
    Raises: CannotStart if there is no such command; MemcgUnavailable if `enforce` leaves no way to hold it;
    WorkerFailed if it was killed before it began.
    """
    signals = SignalFile(FORWARDED_SIGNALS)
    try:
        job = start_job(
            options.command,
            options.max_rss,
            choice=options.enforce,
            swap_max=options.swap_max,
            mask=signals.mask_before,
        )
        return _guard(job, options, events, signals, watch)
    finally:
        signals.close()


def _guard(
    job: StartedJob,
    options: RunOptions,
    events: RunEvents,
    signals: SignalFile,
    watch: Callable[[StartedJob], Callable[[], float]] | None,
) -> RunOutcome:
    try:
        look = watch(job) if watch is not None else None
        events.begins(job.enforcement)
        began = time.monotonic()
        _begin(job, options.command[0])
        supervisor = Supervisor(
            job,
            signals,
            events,
            began=began,
            on_limit=options.on_limit,
            grace_seconds=options.grace_seconds,
            swap_max=options.swap_max,
            watch=look,
        )
        record = supervisor.run()
    except BaseException:
        job.abort()
        raise
    outcome = _outcome(job, options, record)
    if record.left_behind:
        job.linger()
    else:
        job.reaper.finish()
        job.backend.close()
    return outcome


def _begin(job: StartedJob, program: str) -> None:
    if number := job.reaper.start():
        if number == errno.ESRCH:
            raise WorkerFailed("the command was killed before it began", do="the same command again")
        raise CannotStart(program, number)


def _outcome(job: StartedJob, options: RunOptions, record: RunRecord) -> RunOutcome:
    from oomguard.supervision.kernel_victims import name_victim
    from oomguard.supervision.model import RunOutcome

    enforcement, samples, held = job.enforcement, record.samples, record.held
    code, stopped_by = _judge(record)
    outcome = RunOutcome(
        command=options.command,
        exit_code=code,
        stopped_by=stopped_by,
        enforced_by=enforcement.way,
        budget=job.backend.limits.budget,
        hard_limit=enforcement.hard_limit,
        peak_unreclaimable=samples.peak_unreclaimable,
        peak_with_cache=record.peak_with_cache,
        peak_shmem=samples.peak_shmem,
        largest_process=samples.largest_rss or None,
        wall_seconds=record.seconds,
        processes=tuple(samples.processes),
        oom_kills=record.oom_kills,
        victim=name_victim(job.backend, record) if stopped_by == "kernel" else None,
        left_behind=record.left_behind,
        notes=tuple(enforcement.lines()),
    )
    return outcome if held is None else with_held(outcome, held, samples)


def with_held(outcome: RunOutcome, held: Snapshot, samples: JobSamples) -> RunOutcome:
    """Add what was seen of the job while it was held, and what follows from that."""
    from oomguard.kernel.machine.headroom import read_headroom
    from oomguard.supervision.rules.advice import advise

    return replace(
        outcome,
        held_seconds=held.seconds,
        held_unreclaimable=held.unreclaimable,
        look_seconds=held.look_seconds,
        processes=held.processes,
        stacks=held.stacks,
        unread_stacks=held.unread,
        memory_maps=held.maps,
        inputs=held.inputs,
        files_in_memory=held.files_in_memory,
        advice=advise(held, samples.last_forecast(), machine_available=read_headroom().available),
    )


def _judge(record: RunRecord) -> tuple[int, StoppedBy | None]:
    """The exit code, and who ended the job when it did not end by itself."""
    if record.stopped:
        return _STOPPED_CODE, "budget"
    code = os.waitstatus_to_exitcode(record.status)
    code = code if code >= 0 else 128 - code
    if record.oom_kills and code != 0:
        return code, "kernel"
    if record.refused and code != 0:
        return code, "budget"  # it ended by itself, because of the budget
    return code, "signal" if code == 128 + os.WTERMSIG(record.status) and os.WIFSIGNALED(record.status) else None
