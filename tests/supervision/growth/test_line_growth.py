"""Growth by line: what is charged is never more than what is held, whatever processes do."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from oomguard.supervision.growth.line_growth import Line, LineGrowth, largest_lines

A, B, C = (Line("prepare.py", number, "load") for number in (10, 20, 30))
LINES = st.sampled_from([A, B, C, None])
PIDS = st.integers(1, 4)
SIZES = st.integers(0, 1000)


class Processes(RuleBasedStateMachine):
    """Processes that grow, shrink, fork and end, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.growth = LineGrowth[Line]()
        self.held: dict[int, int] = {}

    @rule(pid=PIDS, size=SIZES, line=LINES, not_new=SIZES)
    def take(self, pid: int, size: int, line: Line | None, not_new: int) -> None:
        self.growth.take(pid, size, line, not_new=not_new)
        self.held[pid] = size

    @rule(pids=st.sets(PIDS))
    def some_end(self, pids: set[int]) -> None:
        self.held = {pid: size for pid, size in self.held.items() if pid in pids}
        self.growth.keep_only(pids)

    @rule()
    def peak(self) -> None:
        self.growth.note_peak()
        assert self.growth.at_peak == self.growth.now()

    @invariant()
    def never_more_than_is_held(self) -> None:
        charged = self.growth.now()
        assert sum(charged.values()) <= sum(self.held.values())
        assert all(size >= 0 for size in charged.values())
        assert all(self.growth.size(pid) == self.held.get(pid) for pid in range(1, 5))


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


@settings(max_examples=60)
@given(steps=st.lists(st.tuples(SIZES, st.sampled_from([A, B, C])), min_size=1))
def test_when_each_step_has_a_line_all_is_charged(steps: list[tuple[int, Line]]) -> None:
    growth = LineGrowth[Line]()
    for size, line in steps:
        growth.take(7, size, line)
        assert sum(growth.now().values()) == size


def test_what_grew_last_goes_first() -> None:
    """A buffer of the end does not take the blame off the list of the beginning."""
    growth = LineGrowth[Line]()
    for size, line in ((500, A), (700, B), (900, C), (800, None), (600, None)):
        growth.take(7, size, line)
    assert growth.now() == {A: 500, B: 100}


def test_a_fork_s_pages_are_its_parent_s_growth() -> None:
    growth = LineGrowth[Line]()
    growth.take(1, 500, A)
    growth.take(2, 500, None, not_new=500)
    assert growth.now() == {A: 500}
    growth.take(2, 650, B)
    assert growth.now() == {A: 500, B: 150}


def test_the_peak_is_kept_when_all_is_given_back() -> None:
    growth = LineGrowth[Line]()
    growth.take(1, 500, A)
    growth.take(2, 300, B)
    growth.note_peak()
    growth.keep_only(set())
    assert growth.now() == {}
    assert growth.at_peak == {A: 500, B: 300}


def test_a_long_run_remembers_no_more_than_its_lines() -> None:
    """Two lines that take turns for a day; the sum of each stays right."""
    growth, sizes = LineGrowth[Line](), random.Random(3)
    held, by_line = 0, {A: 0, B: 0}
    for number in range(20_000):
        line, more = (A, B)[number % 2], sizes.randrange(1, 50)
        held, by_line[line] = held + more, by_line[line] + more
        growth.take(7, held, line)
    assert growth.now() == by_line
    assert len(growth._held[7]) <= 200


def test_a_comprehension_s_part_of_a_line_is_that_of_the_line() -> None:
    held = {Line("a.py", 8, "f"): 50, Line("a.py", 8, "f.<locals>.<genexpr>"): 20, Line("a.py", 9, "f"): 60}
    assert largest_lines(held, 9) == [(Line("a.py", 8, "f"), 70), (Line("a.py", 9, "f"), 60)]


def test_the_largest_lines() -> None:
    held = {A: 5, B: 50, C: 0, Line("a.py", 1, "f"): 5}
    assert largest_lines(held, 2) == [(B, 50), (Line("a.py", 1, "f"), 5)]
    assert [line for line, _ in largest_lines(held, 9)] == [B, Line("a.py", 1, "f"), A]
