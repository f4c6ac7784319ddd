"""Whether ranges hold the truth often enough, and how much so many trials say of that."""

from __future__ import annotations

from math import comb

HELD = 0.95  # of trials, as promised
ENOUGH = 200  # trials, to judge the promise by
_SURE = 0.95


def is_as_promised(held: int, trials: int) -> bool:
    """Whether so many of the trials are enough; of fewer than 200, whether such a number is to be expected at all."""
    if trials >= ENOUGH:
        return held >= HELD * trials
    return trials > 0 and _at_most(held, trials, HELD) > 1 - _SURE


def at_least(held: int, trials: int) -> float:
    """The part of all trials that hold, at the least, with 95 % confidence (Clopper and Pearson, one-sided)."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        reached = 1 - _at_most(held - 1, trials, middle)
        low, high = (middle, high) if reached < 1 - _SURE else (low, middle)
    return low


def say(held: int, trials: int) -> str:
    """For people."""
    told = f"{held} of {trials} hold the truth (at least {at_least(held, trials):.0%}, with 95 % confidence)"
    return told if trials >= ENOUGH else f"{told}; {ENOUGH} trials are needed to judge the promise of {HELD:.0%}"


def _at_most(held: int, trials: int, chance: float) -> float:
    return sum(comb(trials, n) * chance**n * (1 - chance) ** (trials - n) for n in range(held + 1))
