"""How a budget becomes limits of the kernel's, and how much a job can have held between two samples."""

from __future__ import annotations

from bisect import bisect_right

from oomguard.kernel.model import LEAST_BUDGET, LimitAbove
from oomguard.records import dataclass
from oomguard.units import MIB, format_size

_LEAST_RESERVE, _MOST_RESERVE = 16 * MIB, 256 * MIB
_RESERVE_PART = 8  # of the budget
_MOST_GRACE = 8 * MIB  # a handler of signals needs little, and who ignores SIGTERM takes all of it
# Memory cannot grow faster than this on any machine of today: earlyoom's model, measured 1.8 GB/s here.
FASTEST_BYTES_A_SECOND = 6e9
_PAGE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """What a job may use. Units: bytes."""

    budget: int  # unreclaimable memory: at this the job is held
    slow: int  # memory charged, page cache too: above this v2 makes the job wait (memory.high)
    hard: int  # the same: more than this the kernel gives to nobody
    grace: int  # the hard limit while the job is asked to end, so that it can run the code that ends it
    notes: tuple[str, ...] = ()


def reserve_of(budget: int) -> int:
    """How far above the budget the kernel's hard limit lies. Units: bytes."""
    return min(max(budget // _RESERVE_PART, _LEAST_RESERVE), _MOST_RESERVE)


def plan_job_limits(asked: int, above: list[LimitAbove], *, reserve: bool = True) -> JobLimits:
    """Fit the budget, and the reserve above it, under every limit in `above`; says so where that lowers it.

    Without `reserve` the hard limit is the budget: for a job that keeps its budget itself.

    Raises: ValueError if `asked` is less than LEAST_BUDGET (the caller has told the user).
    """
    if asked < LEAST_BUDGET:
        raise ValueError(f"a budget must be at least {LEAST_BUDGET}, got {asked}")
    lowest = min(above, key=lambda limit: limit.room, default=None)
    budget, notes = asked, []
    if lowest is not None and (_needs(asked) if reserve else asked) > lowest.room:
        budget = min(asked, max(_largest_under(lowest.room) if reserve else lowest.room, _PAGE))
    if not reserve:
        budget = budget // _PAGE * _PAGE
    if lowest is not None and budget <= asked - _PAGE:
        beside = f", and oomguard itself needs {format_size(lowest.beside)} of it" if lowest.beside else ""
        notes.append(
            f"{lowest.whose} is {format_size(lowest.limit)}{beside}: the job is held at {format_size(budget)}, "
            f"not at {format_size(asked)}"
        )
    hard = budget + (reserve_of(budget) if reserve else 0)
    hard = (hard if lowest is None else min(hard, lowest.room)) // _PAGE * _PAGE
    grace = hard + min(reserve_of(budget), _MOST_GRACE)
    return JobLimits(
        budget=budget,
        slow=budget + (hard - budget) // 2 // _PAGE * _PAGE,
        hard=hard,
        grace=grace if lowest is None else max(hard, min(grace, lowest.room)),
        notes=tuple(notes),
    )


def _needs(budget: int) -> int:
    """What a budget takes with its reserve. A small one is content with one of its own size, or it had no room."""
    return budget + min(reserve_of(budget), budget)


def _largest_under(room: int) -> int:
    """The largest budget, in whole pages, that fits into `room` with its reserve."""
    return (bisect_right(range(room // _PAGE + 1), room, key=lambda pages: _needs(pages * _PAGE)) - 1) * _PAGE


_LITTLE_CACHE = 10  # one byte in so many: more of it, and the mark says little of the rest


@dataclass(slots=True)
class PeakBound:
    """Takes samples in order. Units: bytes.

    The mark is that of the time since the one before. How much of it was page cache at that moment nobody knows, so all
    of it counts; and where much page cache was there, no bound is given.
    """

    _at_most: int | None = None
    _is_known: bool = True

    @property
    def at_most(self) -> int | None:
        """The bound; None: there was no mark yet, or much of it may have been page cache."""
        return self._at_most if self._is_known else None

    def take(self, unreclaimable: int, cache: int, mark: int | None) -> None:
        """Take a sample with the mark since the last that had one; None: it was not asked for."""
        if mark is not None:
            self._at_most = max(self._at_most or 0, mark, unreclaimable)
            if cache * _LITTLE_CACHE > mark:
                self._is_known = False
        elif self._at_most is not None:
            self._at_most = max(self._at_most, unreclaimable)
