"""`oomguard profile`: what a program needs at its peak, and where it grew; recorded while it runs."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from oomguard.errors import BadInput, CannotStart, NeedsPrivilege, NothingFound
from oomguard.kernel.cgroup.model import LEAST_BUDGET
from oomguard.kernel.machine.cpus import usable_cpus
from oomguard.kernel.machine.headroom import read_headroom
from oomguard.kernel.proc.files import ProcFiles
from oomguard.kernel.proc.tree import ProcessTree
from oomguard.profiling.cgroup_clock import MemcgClock
from oomguard.profiling.recording.events import RecordingHead
from oomguard.profiling.recording.file import read_events
from oomguard.profiling.rules.rebuild import build_profile
from oomguard.profiling.stage_file import StageFile
from oomguard.profiling.watch import JobWatch
from oomguard.stages import STAGES_VARIABLE
from oomguard.supervision.backends.cgroup import CgroupBackend
from oomguard.supervision.events import Silence
from oomguard.supervision.options import RunOptions
from oomguard.supervision.supervise import supervise
from oomguard.text import printable
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.kernel.machine.headroom import Headroom
    from oomguard.profiling.screen import PeakProfile
    from oomguard.supervision.launch import StartedJob
    from oomguard.supervision.model import RunOutcome
    from oomguard.supervision.rules.choice import Choice

_RESERVE, _RESERVE_PART = 48 * MIB, 64
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


def profile_command(options: ProfileOptions, events: ProfileEvents) -> Profiled:
    """Run a command in this process's place, as supervise() does, and record its memory.

    The machine is kept alive: a job that uses up what is available is held, and ended, and the profile says so.
    Raises: what supervise() does; BadInput if the recording cannot be written.
    """
    room = read_headroom()
    began, clock = time.time(), time.monotonic()
    path = options.recording or _default_recording(options.shown or options.command)
    stages = StageFile(began)
    os.environ[STAGES_VARIABLE] = stages.path  # for the job, which inherits it
    made: list[JobWatch] = []

    def watch(job: StartedJob) -> Callable[[], float]:
        memcg = MemcgClock(job.backend.memcg) if isinstance(job.backend, CgroupBackend) else None
        head = _head(
            options.shown or options.command,
            room,
            began,
            tier=_SAMPLES_OF_PROC if memcg is None else job.enforcement.way,
            exact_mark=memcg is not None and memcg.is_exact,
        )
        watched = JobWatch(head, path, pids=job.backend.pids, clock=memcg, stages=stages, began=clock)
        made.append(watched)
        events.begins(path, head.tier)
        return watched.look

    try:
        most = _leave_some(room.available)
        run = RunOptions(command=options.command, max_rss=most, enforce=options.enforce, swap_max=None)
        outcome = supervise(run, Silence(), watch=watch)
        made[0].end(outcome.exit_code, stopped=_why_stopped(outcome, room.available))
    except CannotStart:
        if path.is_file() and not path.is_symlink():  # /dev/null stays
            path.unlink()  # there is nothing in it
        raise
    finally:
        stages.close()
    return Profiled(profile=build_profile(made[0].events()), recording=path, exit_code=outcome.exit_code)


def profile_process(pid: int, options: ProfileOptions, events: ProfileEvents) -> Profiled:
    """Record what runs already, and what it starts, until it ends or somebody presses Ctrl-C; it is left alone.

    Raises: NothingFound if there is no such process; NeedsPrivilege if its memory may not be looked into.
    """
    proc = ProcFiles()
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, OverflowError) as error:
        raise NothingFound(f"there is no process {pid}", do="pgrep -af python lists those of Python") from error
    with os.fdopen(pidfd):
        if not proc.read(f"{pid}/smaps_rollup"):
            raise NeedsPrivilege(
                f"the memory of process {pid} may not be looked into: it is the kernel's, or somebody else's",
                do=f"sudo $(command -v oomguard) profile --pid {pid}",
            )
        path = options.recording or _default_recording((f"pid-{pid}",))
        head = _head(proc.command(pid), read_headroom(), time.time(), tier=_SAMPLES_OF_PROC, exact_mark=False)
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
        ended = _look_until_the_end(watched, pidfd)
        watched.end(None, stopped="" if ended else "let alone")
    return Profiled(profile=build_profile(watched.events()), recording=path, exit_code=0)


def _look_until_the_end(watched: JobWatch, pidfd: int) -> bool:
    """True: the process ended. False: somebody pressed Ctrl-C, or sent SIGTERM."""
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


def read_recording(path: Path) -> PeakProfile:
    """Read a recording, whole or cut short. Raises: BadInput if it is none; NothingFound if it is not there."""
    try:
        return build_profile(read_events(path))
    except FileNotFoundError as error:
        raise NothingFound(
            f"there is no recording {printable(str(path))}", do="oomguard profile -o FILE -- COMMAND makes one"
        ) from error
    except OSError as error:
        raise BadInput(
            f"the recording {printable(str(path))} cannot be read: {error.strerror}", do="oomguard report FILE"
        ) from error
    except BadInput as error:
        raise BadInput(f"{printable(str(path))}: {error}", do=error.do) from error


def _head(command: tuple[str, ...], room: Headroom, began: float, *, tier: str, exact_mark: bool) -> RecordingHead:
    return RecordingHead(
        command=command,
        folder=str(Path.cwd()),
        began=began,
        tier=tier,
        exact_mark=exact_mark,
        available=room.available,
        limited_by=room.limited_by,
        cpus=usable_cpus(),
    )


def _leave_some(available: int) -> int:
    """What the job may use: the profiler has to live as well, and tell."""
    return max(LEAST_BUDGET, available - max(_RESERVE, available // _RESERVE_PART))


def _why_stopped(outcome: RunOutcome, available: int) -> str:
    if outcome.stopped_by == "budget":
        return f"ended at the {format_size(available)} that were available"
    return "killed by the kernel for memory" if outcome.stopped_by == "kernel" else ""


def _default_recording(command: tuple[str, ...]) -> Path:
    word = next((part for part in command[1:] if part.endswith(".py")), command[0])
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in Path(word).name)[:40]
    folder = Path.cwd() if os.access(".", os.W_OK) else Path(tempfile.gettempdir())
    return folder / f"profile-{name}-{os.getpid()}.oomguard"  # no .jsonl: prepare takes those of a folder for its input
