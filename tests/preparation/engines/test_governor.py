"""The governor speaks up before the budget is reached, and gives its measures time to show."""

from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.engines.governor import Governor


class Machine:
    """A clock and a memory that the test sets."""

    def __init__(self) -> None:
        self.time = 100.0
        self.memory = 0
        self.looks = 0

    def measure(self) -> int:
        self.looks += 1
        return self.memory

    def governor(self) -> Governor:
        return Governor(budget=1000, measure=self.measure, clock=lambda: self.time)

    def advice_at(self, memory: int) -> str:
        self.memory = memory
        return self.governor().advise()


def test_the_fuller_the_more_it_asks_for() -> None:
    machine = Machine()
    assert [machine.advice_at(memory) for memory in (0, 700, 800, 899, 920, 949, 960, 1000, 1200)] == [
        "more", "more", "go on", "go on", "renew", "renew", "fewer", "fewer", "fewer",
    ]  # fmt: skip


def test_it_waits_until_what_was_done_can_show() -> None:
    """Twenty looks a second would end all workers before the first is gone."""
    machine = Machine()
    governor = machine.governor()
    machine.memory = 960
    advice = []
    for _ in range(20):
        machine.time += 0.1
        advice.append(governor.advise())
    assert 5 <= advice.count("fewer") <= 10
    machine.memory = 100
    advice = []
    for _ in range(100):
        machine.time += 0.1
        advice.append(governor.advise())
    assert 4 <= advice.count("more") <= 5  # growing back is slower


def test_it_looks_at_most_twenty_times_a_second() -> None:
    machine = Machine()
    governor = machine.governor()
    for _ in range(1000):
        machine.time += 0.001
        governor.advise()
    assert 15 <= machine.looks <= 21


def test_a_measurement_that_takes_long_is_taken_less_often() -> None:
    """It never costs more than about a fiftieth of the time."""
    machine = Machine()
    governor = machine.governor()

    def slow() -> int:
        machine.time += 0.2
        machine.looks += 1
        return 0

    governor.measure = slow
    start = machine.time
    while machine.time < start + 1000:
        machine.time += 0.01
        governor.advise()
    assert machine.looks * 0.2 <= 1000 / 40


@given(st.lists(st.integers(0, 2000), min_size=1))
def test_the_peak_is_the_most_that_was_seen(memory: list[int]) -> None:
    machine = Machine()
    governor = machine.governor()
    for machine.memory in memory:
        governor.look()
        assert governor.now == machine.memory
    assert governor.peak == max(memory)


@given(st.integers(0, 1500))
def test_room_looks_anew_and_ends_below_the_budget(memory: int) -> None:
    machine = Machine()
    governor = machine.governor()
    machine.memory = memory
    assert governor.room() == 900 - memory
    assert governor.room() <= governor.room_for_one_step() < 1000 - memory
