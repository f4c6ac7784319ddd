"""The peak by two clocks, against a model of a cgroup whose true peak is known: never above it, and never beyond the bound."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.profiling.rules.rebuild import PeakClocks
from oomguard.supervision.model import MemorySample, ProcessMemory

MIB = 1 << 20
STEP = 0.01  # seconds between two moments of the model
BATCH = MIB  # what the kernel may have charged in advance


@dataclass(frozen=True)
class Moment:
    """What a cgroup holds, in bytes. `swap` is in `unreclaimable`."""

    unreclaimable: int
    cache: int = 0
    swap: int = 0
    batch: int = 0

    @property
    def charged(self) -> int:
        return self.unreclaimable - self.swap + self.cache + self.batch


def sample(number: int, now: Moment, *, most: int | None, filled: int | None = None) -> MemorySample:
    return MemorySample(
        seconds=number * STEP, unreclaimable=now.unreclaimable, exact=True, cache=now.cache, processes=(),
        most=most, charged=now.charged, swap=now.swap, filled=filled,
    )  # fmt: skip


def watch(intervals: list[list[Moment]], *, mark: str, fill_rate: float = 0.0, faults: bool = True) -> PeakClocks:
    """Samples at the last moment of each interval. `mark`: "reset" each time, "kept" since the beginning, "none"."""
    clocks = PeakClocks(fill_rate)
    highest = number = 0
    last = Moment(0)
    for interval in intervals:
        number += len(interval)
        most: int | None = max(moment.charged for moment in [last, *interval])
        if mark == "none" or (mark == "kept" and most is not None and most <= highest):
            most = None
        highest = max(highest, most or 0)
        filled = sum(max(0, b.unreclaimable - a.unreclaimable) for a, b in itertools.pairwise([last, *interval]))
        last = interval[-1]
        clocks.take(sample(number, last, most=most, filled=filled if faults else None))
    return clocks


SIZES = st.integers(0, 600 * MIB)


@st.composite
def cgroups(draw: st.DrawFn, *, with_cache: bool = True) -> list[list[Moment]]:
    """Intervals in which memory does anything; cache and swap go from one level to another without turning back."""
    intervals, cache, swap = [], 0, 0
    for _ in range(draw(st.integers(1, 6))):
        count = draw(st.integers(1, 4))
        to_cache, to_swap = (draw(SIZES), draw(st.sampled_from([0, 0, 50 * MIB]))) if with_cache else (0, 0)
        moments = []
        for part in range(1, count + 1):
            held = draw(SIZES)
            now = swap + (to_swap - swap) * part // count
            batch = draw(st.integers(0, BATCH))
            moments.append(Moment(held + now, cache + (to_cache - cache) * part // count, now, batch))
        intervals.append(moments)
        cache, swap = to_cache, to_swap
    return intervals


def true_peak(intervals: list[list[Moment]]) -> int:
    return max(moment.unreclaimable for interval in intervals for moment in interval)


def fastest(intervals: list[list[Moment]]) -> float:
    """Bytes a second by which memory or cache grew at most."""
    moments = [Moment(0), *itertools.chain(*intervals)]
    rises = [
        max(after.unreclaimable - before.unreclaimable, after.cache - before.cache)
        for before, after in itertools.pairwise(moments)
    ]
    return (max(rises) + 1) / STEP


@pytest.mark.parametrize("mark", ["reset", "kept", "none"])
@settings(max_examples=80)
@given(intervals=cgroups())
def test_never_above_the_truth_nor_the_truth_above_the_bound(mark: str, intervals: list[list[Moment]]) -> None:
    clocks = watch(intervals, mark=mark, fill_rate=fastest(intervals))
    truth = true_peak(intervals)
    assert clocks.peak <= truth + BATCH
    assert clocks.peak + clocks.missed_at_most >= truth


@settings(max_examples=60)
@given(intervals=cgroups(with_cache=False))
def test_without_page_cache_a_mark_that_is_set_back_misses_nothing(intervals: list[list[Moment]]) -> None:
    """Nothing but the kernel's batches, and what is too little to be told from them."""
    clocks = watch(intervals, mark="reset")
    truth = true_peak(intervals)
    slack = 2 * MIB + truth // 64 + BATCH
    assert truth - slack <= clocks.peak <= truth + BATCH
    assert clocks.missed_at_most <= slack + BATCH


def rest(count: int, **held: int) -> list[Moment]:
    return [Moment(**held)] * count


def test_a_spike_of_a_grandchild_between_two_samples() -> None:
    calm = rest(10, unreclaimable=100 * MIB, cache=40 * MIB)
    spike = [*calm[:3], Moment(400 * MIB, 40 * MIB), *calm[:3]]
    by_mark = watch([calm, spike, calm], mark="reset")
    assert (by_mark.peak, by_mark.by_the_mark, by_mark.missed_at_most) == (400 * MIB, True, 0)
    assert by_mark.peak_seconds == pytest.approx(0.17)
    without = watch([calm, spike, calm], mark="none", fill_rate=fastest([calm, spike]))
    assert (without.peak, without.by_the_mark) == (100 * MIB, False)
    assert without.missed_at_most >= 300 * MIB


def test_a_file_that_is_written_and_deleted_between_two_samples_is_no_peak() -> None:
    """Its page cache is in the mark, and in neither sample. That it was memory cannot be ruled out by the mark alone."""
    calm = rest(10, unreclaimable=100 * MIB, cache=40 * MIB)
    some = [Moment(102 * MIB, 40 * MIB), Moment(101 * MIB, 340 * MIB), calm[0]]
    clocks = watch([calm, some, calm], mark="reset")
    assert clocks.peak == 100 * MIB
    assert clocks.missed_at_most == 301 * MIB


def test_a_sample_above_the_mark_of_before_is_the_peak() -> None:
    calm = rest(3, unreclaimable=100 * MIB)
    clocks = watch([calm, [Moment(300 * MIB), calm[0]], rest(3, unreclaimable=350 * MIB)], mark="reset")
    assert (clocks.peak, clocks.by_the_mark) == (350 * MIB, False)


def test_a_stat_that_is_older_than_the_charge_does_not_lower_the_bound() -> None:
    """A process ended between the two reads: memory.stat no longer has what the charge still had."""
    clocks = PeakClocks(1e9)
    clocks.take(sample(1, Moment(100 * MIB), most=100 * MIB))
    late = MemorySample(
        seconds=2 * STEP, unreclaimable=100 * MIB, exact=True, cache=0, processes=(), most=400 * MIB, charged=400 * MIB
    )
    clocks.take(late)
    assert clocks.peak + clocks.missed_at_most >= 400 * MIB


def test_an_old_kernel_s_mark_still_bounds_what_a_long_step_may_hide() -> None:
    """Linux 5.19 to 6.11 cannot set memory.peak back: it says that nothing was above it, however long the step."""
    calm = rest(50, unreclaimable=100 * MIB)
    clocks = watch([calm, calm, calm], mark="kept", fill_rate=1e10)
    assert clocks.missed_at_most == 0
    assert watch([calm, calm, calm], mark="none", fill_rate=1e10, faults=False).missed_at_most > 1000 * MIB
    assert watch([calm, calm, calm], mark="none", fill_rate=1e10).missed_at_most == 0  # no fault, no memory


def test_what_stands_beside_the_peak() -> None:
    def two(first: int, second: int) -> tuple[ProcessMemory, ...]:
        return tuple(ProcessMemory(pid, anon, 1, 10, 1000) for pid, anon in ((7, first), (8, second)))

    clocks = PeakClocks(0.0)
    for number, processes in enumerate((two(5, 5), two(100, 5), two(60, 70)), 1):
        clocks.take(
            MemorySample(seconds=number, unreclaimable=50, exact=True, cache=9, processes=processes, most=40 * number)
        )
    assert (clocks.largest_process, clocks.summed_rss) == (111, 152)  # swap is no resident memory
    assert (clocks.peak_with_cache, clocks.samples, clocks.longest_gap) == (120, 3, 1)
