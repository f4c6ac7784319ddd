"""From the budget that was asked for, the limits that the kernel is given.

The job is held when its unreclaimable memory reaches the budget. The kernel's own hard limit lies a reserve above:
it is what stops a burst until the guard has looked, and what lets program text and file pages stay in memory while
the job is just under its budget (a job whose pages fill a hard limit reads its own code from disk again and again).
"""

from __future__ import annotations

from dataclasses import dataclass

from oomguard.units import MIB, format_size

_LEAST_RESERVE, _MOST_RESERVE = 16 * MIB, 256 * MIB
_RESERVE_PART = 8  # of the budget
# A process that only starts needs about this: less is a slip of the pen.
LEAST_BUDGET = MIB
# Memory cannot grow faster than this on any machine of today: earlyoom's model, measured 1.8 GB/s here.
FASTEST_BYTES_A_SECOND = 6e9
_PAGE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """What a job may use. Units: bytes."""

    budget: int  # unreclaimable memory: at this the job is held
    slow: int  # memory charged, page cache too: above this v2 makes the job wait (memory.high)
    hard: int  # the same: more than this the kernel gives to nobody
    notes: tuple[str, ...] = ()

    @property
    def grace(self) -> int:
        """The hard limit while the job is asked to end, so that it can run the code that ends it."""
        return self.hard + reserve_of(self.budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAbove:
    """A limit that holds for the job already. Units: bytes."""

    whose: str  # in words for people
    limit: int


def reserve_of(budget: int) -> int:
    """How far above the budget the kernel's hard limit lies. Units: bytes."""
    return min(max(budget // _RESERVE_PART, _LEAST_RESERVE), _MOST_RESERVE)


def plan_job_limits(asked: int, above: list[LimitAbove]) -> JobLimits:
    """Fit the budget, and the reserve above it, under every limit in `above`; says so where that lowers it.

    Raises: ValueError if `asked` is less than LEAST_BUDGET (the caller has told the user).
    """
    if asked < LEAST_BUDGET:
        raise ValueError(f"a budget must be at least {LEAST_BUDGET}, got {asked}")
    budget, notes = asked, []
    lowest = min(above, key=lambda limit: limit.limit, default=None)
    if lowest is not None and asked + reserve_of(asked) > lowest.limit:
        budget = min(asked, max(_under(lowest.limit), _PAGE))
    if lowest is not None and budget < asked:
        notes.append(
            f"{lowest.whose} is {format_size(lowest.limit)}: the job is held at {format_size(budget)}, "
            f"not at {format_size(asked)}"
        )
    reserve = reserve_of(budget)
    hard = budget + reserve if lowest is None else min(budget + reserve, lowest.limit)
    return JobLimits(
        budget=budget,
        slow=budget + (hard - budget) // 2 // _PAGE * _PAGE,
        hard=hard // _PAGE * _PAGE,
        notes=tuple(notes),
    )


def _under(limit: int) -> int:
    """The largest budget whose reserve still fits under `limit`."""
    for reserve in (_MOST_RESERVE, None, _LEAST_RESERVE):
        budget = limit - reserve if reserve is not None else limit * _RESERVE_PART // (_RESERVE_PART + 1)
        if budget > 0 and budget + reserve_of(budget) <= limit:
            return budget
    return limit // 2
