"""Units done until none is left, beside any number of other processes that do the same.

A claim keeps two from doing the same unit. It is a courtesy, not a lock: what is done twice is committed once, with
the same bytes.
"""

from __future__ import annotations

import itertools
import signal
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import OomguardError, Stopped
from oomguard.kernel.process import stop_on_signals
from oomguard.preparation.cluster.job_place import claim_of
from oomguard.preparation.cluster.unit_work import do_unit
from oomguard.preparation.engines.progress import PrepareEvents
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oomguard.preparation.cluster.claims import Claim
    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.cluster.unit_work import UnitResult
    from oomguard.preparation.engines.progress import PipelineState

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


def unit_line(done: UnitResult) -> str:
    """What was done of a unit, for people."""
    read = format_size(done.input_bytes)
    return f"unit {done.unit}: {done.tokens:,} tokens of {read}, {done.seconds:.1f} s"


@dataclass(slots=True, kw_only=True)
class UnitsDone:
    """What one worker did of a job."""

    done: list[UnitResult] = field(default_factory=list)
    failures: dict[int, OomguardError] = field(default_factory=dict)
    elsewhere: int = 0  # units that other workers have in hand
    is_finished: bool = False  # the shards are laid out: nothing was left to do

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
            "finished": self.is_finished,
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
        if job.is_done(number):
            continue
        claim = claim_of(job.part_file(number).with_suffix(".claim"))
        if not claim.take():
            waiting.units[number] = claim
            continue
        try:
            done = do_unit(job, number, workers=workers, max_rss=max_rss, events=_kept_up(claim, events))
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


def _kept_up(claim: Claim, events: PrepareEvents | None) -> PrepareEvents:
    """Keep a claim while its unit is worked on."""
    events = events or PrepareEvents()

    def on_state(state: PipelineState) -> None:
        claim.keep()
        events.on_state(state)

    return replace(events, on_state=on_state)
