"""How often each process is looked at: never while the job could reach its budget meanwhile."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from oomguard.supervision.backends.base import MemoryReading
from oomguard.supervision.sampling import JobSamples

MIB = 1 << 20


class Job:
    """Holds what it is told to; counts how often its processes are asked for."""

    def __init__(self) -> None:
        self.limits = SimpleNamespace(budget=1024 * MIB)
        self.held = 0
        self.asked = 0

    def read_memory(self) -> MemoryReading:
        return MemoryReading(unreclaimable=self.held, shmem=self.held // 2, cache=None, exact=True)

    def take_mark(self) -> int | None:
        return None

    def pids(self) -> list[int]:
        self.asked += 1
        return []


@pytest.mark.parametrize(
    ("steps", "asked"),
    [
        ([100, 200], 1),  # far: 50 ms to the budget, at the fastest
        ([1000, 1020], 0),  # near it, and growing
        ([1020, 1020], 1),  # near it, and calm
    ],
)
def test_a_job_that_grows_near_its_budget_is_measured_only(steps: list[int], asked: int) -> None:
    job: Any = Job()
    samples = JobSamples(job, began=time.monotonic() + 60)
    job.held = steps[0] * MIB
    samples.look()
    samples._next_slow, job.asked = 0, 0
    samples._largest_at = 1 << 40  # that it looks for the largest as well is another matter
    job.held = steps[1] * MIB
    samples.look()
    assert job.asked == asked


def test_what_is_left_at_the_end_counts() -> None:
    job: Any = Job()
    samples = JobSamples(job, began=time.monotonic() + 60)
    job.held = 112 * MIB
    samples.close()
    assert (samples.peak_unreclaimable, samples.peak_shmem) == (112 * MIB, 56 * MIB)
