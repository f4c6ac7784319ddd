"""Units done until none is left, beside any number of other processes that do the same.

A claim keeps two from doing the same unit. It is a courtesy, not a lock: what is done twice is committed once, with
the same bytes. A claim is touched while its unit is worked on. One that is not touched for a minute is of a worker that
ended, and so is one whose process is gone from the machine that looks.
"""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.errors import NotOurs, OomguardError, Stopped
from oomguard.kernel import safe_files
from oomguard.kernel.process.signals import stop_on_signals
from oomguard.preparation.cluster.unit_work import do_unit
from oomguard.preparation.engines.events import PrepareEvents
from oomguard.preparation.writing.manifest import disk_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.cluster.unit_work import UnitResult
    from oomguard.preparation.engines.pipeline import PipelineState

_TOUCH_SECONDS = 5.0
_STALE_SECONDS = 60.0
_LOOK_SECONDS = 1.0  # between looks at what others have in hand, when nothing else is left


@dataclass(frozen=True, slots=True)
class Share:
    """Which of several workers this is: it begins with its own units, then helps with the others'."""

    number: int = 0
    of: int = 1

    def order(self, units: list[int]) -> list[int]:
        """Units in the order in which this worker takes them."""
        own = [unit for unit in units if unit % self.of == self.number]
        rest = [unit for unit in units if unit % self.of != self.number]
        middle = len(rest) * self.number // self.of  # each begins to help elsewhere
        return own + rest[middle:] + rest[:middle]


@dataclass(slots=True, kw_only=True)
class UnitsDone:
    """What one worker did of a job."""

    done: list[UnitResult] = field(default_factory=list)
    failures: dict[int, OomguardError] = field(default_factory=dict)
    elsewhere: int = 0  # units that other workers have in hand

    def require_success(self) -> None:
        """Raises: the first failure, with the number of units that failed."""
        if not self.failures:
            return
        unit, error = next(iter(self.failures.items()))
        more = f" (and {len(self.failures) - 1:,} more units failed)" if len(self.failures) > 1 else ""
        failure = type(error)(f"unit {unit}: {error}{more}; all other units are kept", do=error.do)
        failure.exit_status = error.exit_status
        raise failure from error

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        return {
            "schema": "oomguard.units/1",
            "done": [each.to_json() for each in self.done],
            "failures": [
                {"unit": unit, "error": type(error).__name__, "what": str(error), "do": error.do}
                for unit, error in self.failures.items()
            ],
            "elsewhere": self.elsewhere,
        }


def do_units(
    job: JobFile,
    share: Share = Share(),
    *,
    workers: int | None = None,
    max_rss: int | None = None,
    events: PrepareEvents | None = None,
    after_each: Callable[[UnitResult], None] = lambda _: None,
) -> UnitsDone:
    """Do all units that are not done and that nobody else has in hand. A unit that fails stops no other.

    Raises: Stopped on a signal; OomguardError if the job cannot be worked on here at all.
    """
    job.require_same_folder()
    result = UnitsDone()
    waiting = _Waiting(job, result)
    for number in itertools.chain(share.order(job.missing()), waiting.left_behind()):
        path = job.part_file(number)
        if path.exists() or job.laid_file(number).exists():
            continue
        claim = Claim(path.with_suffix(".claim"))
        if not claim.take():
            waiting.units[number] = claim
            continue
        try:
            done = do_unit(job, number, workers=workers, max_rss=max_rss, events=claim.kept_up(events))
        except Stopped:
            raise
        except OomguardError as error:
            result.failures[number] = error
        else:
            result.done.append(done)
            after_each(done)
        finally:
            claim.give_up()
    return result


class _Waiting:
    """Units that others have in hand: done here after all, if they were left."""

    def __init__(self, job: JobFile, result: UnitsDone) -> None:
        self.units: dict[int, Claim] = {}
        self._job, self._result = job, result

    def left_behind(self) -> Iterator[int]:
        """Give those whose claim is stale, once it is; a claim that is touched meanwhile is of a living worker.

        Raises: Stopped on a signal.
        """
        touched = {number: claim.touched() or 0.0 for number, claim in self.units.items()}
        with stop_on_signals() as asked:
            while self.units:
                for number in list(self.units):
                    claim = self.units[number]
                    if self._job.part_file(number).exists() or (claim.touched() or 0.0) > touched[number]:
                        del self.units[number]
                        self._result.elsewhere += 1
                    elif claim.is_stale():
                        del self.units[number]
                        yield number
                if (name := asked()) is not None:
                    stopped = Stopped(f"by {name}; units that were done are kept", do="run it again")
                    stopped.exit_status = 128 + signal.Signals[name]
                    raise stopped
                if self.units:
                    time.sleep(_LOOK_SECONDS)


class Claim:
    """A file that says that a unit is worked on, and by which process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._touched = 0.0

    def take(self) -> bool:
        """Claim it; False: another worker has it. Raises: BadInput if the folder cannot be written."""
        try:
            for _ in range(2):  # a stale one goes first
                with suppress(FileExistsError):
                    fd = safe_files.create(self._path)
                    try:
                        os.write(fd, _who(os.getpid()).encode())
                    finally:
                        os.close(fd)
                    return True
                if not self.is_stale():
                    return False
                with suppress(FileNotFoundError):
                    safe_files.unlink(self._path)
        except OSError as error:
            raise disk_error(error, self._path) from error
        return False

    def touched(self) -> float | None:
        """When it was last, by the clock of the file system; None: it is gone."""
        try:
            return self._path.stat().st_mtime
        except FileNotFoundError:
            return None

    def is_stale(self) -> bool:
        """Whether its worker ended. Raises: OSError."""
        touched = self.touched()
        if touched is None or self._now() - touched >= _STALE_SECONDS:
            return True
        try:
            where, _, process = self._path.read_text().rpartition(" ")
            pid = int(process.partition(":")[0])
        except (OSError, ValueError):
            return False  # just being made
        return where == _where() and _who(pid) != f"{where} {process}"

    def _now(self) -> float:
        """The time by the clock of whoever has the file system: that of this machine may be another."""
        probe = self._path.with_name(f".{secrets.token_hex(8)}.time")
        try:
            fd = safe_files.create(probe, 0o600)
            try:
                return os.fstat(fd).st_mtime
            finally:
                os.close(fd)
        finally:
            safe_files.unlink(probe)

    def kept_up(self, events: PrepareEvents | None) -> PrepareEvents:
        """Touch the claim now and then while the unit is worked on."""
        events = events or PrepareEvents()

        def on_state(state: PipelineState) -> None:
            now = time.monotonic()
            if now - self._touched > _TOUCH_SECONDS:
                self._touched = now
                with suppress(OSError, NotOurs):
                    safe_files.touch(self._path)
            events.on_state(state)

        return replace(events, on_state=on_state)

    def give_up(self) -> None:
        """The unit is done, or left."""
        with suppress(OSError, NotOurs):
            safe_files.unlink(self._path)


def _who(pid: int) -> str:
    """A process of this machine, so that another that gets its number later is told from it."""
    try:
        began = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        began = "gone"
    return f"{_where()} {pid}:{began}"


def _where() -> str:
    """Which machine it is, since it was started, and the namespace in which process numbers are counted."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - not a path
    except OSError:
        return "unknown"
