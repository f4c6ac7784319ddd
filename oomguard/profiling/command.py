"""Profile a command that is started for it, or a process that runs already: how it is asked, and what comes of it."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from oomguard.errors import CannotStart, NeedsPrivilege, NothingFound, edge
from oomguard.kernel import safe_files
from oomguard.kernel.machine import read_headroom, usable_cpus
from oomguard.kernel.model import LEAST_BUDGET
from oomguard.kernel.proc.files import ProcessTree, ProcFiles
from oomguard.profiling.high_water import MemcgClock
from oomguard.profiling.recording_lines import RecordingHead
from oomguard.profiling.rules.rebuild import build_profile
from oomguard.profiling.watch import JobWatch, StageFile
from oomguard.supervision.backends.cgroup import CgroupBackend
from oomguard.supervision.options import RunOptions, Silence
from oomguard.supervision.supervise import supervise
from oomguard.text import as_root
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.profiling.model import PeakProfile
    from oomguard.supervision.launch import StartedJob
    from oomguard.supervision.model import RunOutcome
    from oomguard.supervision.rules.choice import Choice

_SAMPLES_OF_PROC = "samples of /proc"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """How to profile a command."""

    command: tuple[str, ...]
    shown: tuple[str, ...] = ()  # the command as people know it; the same, if it is empty
    recording: Path | None = None  # None: a file in the current folder, or in that for temporary files
    enforce: Choice = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """A profile, and where its recording is."""

    profile: PeakProfile
    recording: Path
    exit_code: int


class ProfileEvents(Protocol):
    """What happens before there is a profile."""

    def begins(self, recording: Path, tier: str) -> None:
        """It is being recorded."""


def new_head(command: tuple[str, ...]) -> RecordingHead:
    """Begin a recording of `command` now, by samples of /proc; reads what is available."""
    room = read_headroom()
    return RecordingHead(
        command=command,
        folder=str(Path.cwd()),
        began=time.time(),
        tier=_SAMPLES_OF_PROC,
        exact_mark=False,
        available=room.available,
        limited_by=room.limited_by,
        cpus=usable_cpus(),
        host=os.uname().nodename,
    )


def recording_path(options: ProfileOptions, command: tuple[str, ...]) -> Path:
    """Where the recording goes: where the user said, or a new file in this folder, or in that for temporary files."""
    if options.recording is not None:
        return options.recording
    word = next((part for part in command[1:] if part.endswith(".py")), command[0])
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in Path(word).name)[:40]
    folder = Path.cwd() if os.access(".", os.W_OK) else Path(tempfile.gettempdir())
    return folder / f"profile-{name}-{os.getpid()}.oomguard"  # no .jsonl: prepare takes those of a folder for its input


_RESERVE, _RESERVE_PART = 48 * MIB, 64


@edge
def profile_command(options: ProfileOptions, events: ProfileEvents) -> Profiled:
    """Run a command in this process's place, as supervise() does, and record its memory.

    The machine is kept alive: a job that uses up what is available is frozen and ended, and the profile says so.
    Raises: what supervise() does; BadInput if the recording cannot be written.
    """
    command = options.shown or options.command
    head, clock = new_head(command), time.monotonic()
    path = recording_path(options, command)
    stages = StageFile(clock)
    os.environ[stages.variable] = stages.path  # for the job, which inherits it
    made: list[JobWatch] = []

    def watch(job: StartedJob) -> Callable[[], float]:
        memcg = _clock_of(job)
        of_job = head if memcg is None else replace(head, tier=job.enforcement.way, exact_mark=memcg.is_exact)
        watched = JobWatch(of_job, path, pids=job.backend.pids, clock=memcg, stages=stages, began=clock)
        made.append(watched)
        events.begins(path, of_job.tier)
        return watched.look

    try:
        run = _profiled_run(options.command, options.enforce, head.available)
        outcome = supervise(run, Silence(), watch=watch)
        made[0].end(outcome.exit_code, stopped=_why_stopped(outcome, head.available))
    except CannotStart:
        if path.is_file() and not path.is_symlink():  # /dev/null stays
            safe_files.unlink(path)  # there is nothing in it
        raise
    finally:
        stages.close()
    return Profiled(profile=build_profile(made[0].events()), recording=path, exit_code=outcome.exit_code)


def _profiled_run(command: tuple[str, ...], enforce: Choice, available: int) -> RunOptions:
    """Give the options of a run that may use what is available but for a reserve: the profiler has to live as well."""
    most = max(LEAST_BUDGET, available - max(_RESERVE, available // _RESERVE_PART))
    return RunOptions(command=command, max_rss=most, enforce=enforce, swap_max=None)


def _clock_of(job: StartedJob) -> MemcgClock | None:
    """The clock of the job's cgroup; None where it has none."""
    return MemcgClock(job.backend.memcg) if isinstance(job.backend, CgroupBackend) else None


def _why_stopped(outcome: RunOutcome, available: int) -> str:
    """Say why, for people; "" if it ended by itself."""
    if outcome.stopped_by == "budget":
        return f"ended at the {format_size(available)} that were available"
    return "killed by the kernel for memory" if outcome.stopped_by == "kernel" else ""


def profile_process(pid: int, options: ProfileOptions, events: ProfileEvents) -> Profiled:
    """Record what runs already, and what it starts, until it ends or Ctrl-C detaches from it.

    Raises: NothingFound if there is no such process; NeedsPrivilege if its memory may not be read.
    """
    proc = ProcFiles()
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, OverflowError) as error:
        raise NothingFound(f"there is no process {pid}", do="pgrep -af python") from error
    with os.fdopen(pidfd):
        if not proc.read(f"{pid}/smaps_rollup") and proc.read("self/smaps_rollup"):  # else no process has one here
            raise NeedsPrivilege(
                f"the memory of process {pid} may not be read: it is the kernel's, or another user's",
                do=as_root(f"profile --pid {pid}"),
            )
        path = recording_path(options, (f"pid-{pid}",))
        head = new_head(proc.command(pid))
        watched = JobWatch(
            head,
            path,
            pids=ProcessTree(pid).pids,
            clock=None,
            stages=None,
            began=time.monotonic(),
            from_start=False,
        )
        events.begins(path, head.tier)
        ended = _sample_until_the_end(watched, pidfd)
        watched.end(None, stopped="" if ended else "detached")
    return Profiled(profile=build_profile(watched.events()), recording=path, exit_code=0)


def _sample_until_the_end(watched: JobWatch, pidfd: int) -> bool:
    """True: the process ended. False: Ctrl-C was pressed, or SIGTERM sent."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not poll.poll(1000 * watched.look()):
            pass
    except KeyboardInterrupt:
        return False
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return True
