"""How many examples a property is tried with: few by default, as many as it asks for with --hypothesis-profile=thorough."""

from __future__ import annotations

import itertools
import os
import random
from typing import TYPE_CHECKING, TypeVar

from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Case = TypeVar("Case")
_THOROUGH = "thorough"
_FEWER = 8  # seeds differ from run to run, so that daily runs add up
_LEAST = 25


def register_profiles() -> None:
    """Called by conftest.py, before any test module is imported."""
    settings.register_profile("oomguard", deadline=None)
    settings.register_profile(_THOROUGH, deadline=None)
    settings.load_profile("oomguard")


def share_of(cases: list[Case]) -> list[Case]:
    """All of them, where all is asked for; in daily work another eighth each time."""
    if settings.get_current_profile_name().startswith(_THOROUGH):
        return cases
    return random.SystemRandom().sample(cases, -(-len(cases) // _FEWER))


def steps(*, one_in: int = _FEWER) -> Iterator[int]:
    """1, 2, 3, ...: for a fault at each step in turn; in daily work one step in so many, from another first one on."""
    if settings.get_current_profile_name().startswith(_THOROUGH):
        return itertools.count(1)
    return itertools.count(random.SystemRandom().randint(1, one_in), one_in)


def some_of(cases: Sequence[Case], *, one_in: int = _FEWER) -> list[Case]:
    """As share_of(), for parameters of tests: the same in each worker of a run, and where OOMGUARD_SAMPLE is the same.

    That lets what failed be tried again.
    """
    if settings.get_current_profile_name().startswith(_THOROUGH):
        return list(cases)
    seed = os.environ.get("OOMGUARD_SAMPLE") or os.environ.get("PYTEST_XDIST_TESTRUNUID")
    run = random.Random(seed or random.SystemRandom().random())
    return [cases[at] for at in sorted(run.sample(range(len(cases)), -(-len(cases) // one_in)))]


def examples(thorough: int) -> settings:
    """Settings for a property that takes `thorough` examples to be trusted, and an eighth of them in daily work."""
    if settings.get_current_profile_name().startswith(_THOROUGH):
        return settings(max_examples=thorough)
    return settings(max_examples=max(thorough // _FEWER, min(thorough, _LEAST)))
