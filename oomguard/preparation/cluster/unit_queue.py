"""Units done until none is left, beside any number of other processes that do the same.

A claim keeps two from doing the same unit. It is a courtesy, not a lock: what is done twice is committed once, with
the same bytes. A claim is touched while its unit is worked on; one that is not is of a worker that ended.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import NotOurs, OomguardError, Stopped
from oomguard.kernel import safe_files
from oomguard.preparation.cluster.unit_work import do_unit
from oomguard.preparation.engines.events import PrepareEvents
from oomguard.preparation.writing.manifest import disk_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.cluster.unit_work import UnitResult
    from oomguard.preparation.engines.pipeline import PipelineState

_TOUCH_SECONDS = 5.0
_STALE_SECONDS = 60.0


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
    for number in share.order(job.missing()):
        path = job.part_file(number)
        if path.exists():
            continue
        claim = Claim(path.with_suffix(".claim"))
        if not claim.take():
            result.elsewhere += 1
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


class Claim:
    """A file that says that a unit is worked on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._touched = 0.0

    def take(self) -> bool:
        """Claim it; False: another worker has it. Raises: BadInput if the folder cannot be written."""
        try:
            for _ in range(2):  # a stale one goes first
                with suppress(FileExistsError):
                    os.close(safe_files.create(self._path))
                    return True
                with suppress(FileNotFoundError):
                    if self._now() - self._path.stat().st_mtime < _STALE_SECONDS:
                        return False
                    safe_files.unlink(self._path)
        except OSError as error:
            raise disk_error(error, self._path) from error
        return False

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
