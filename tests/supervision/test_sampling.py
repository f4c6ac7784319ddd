"""How often each process is looked at: never while the job could reach its budget meanwhile."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from oomguard.supervision import sampling
from oomguard.supervision.backends.base import MemoryReading
from oomguard.supervision.growth import ledger
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


class Machine:
    """Its clock and the CPU time of the thread, in place of the time module."""

    def __init__(self) -> None:
        self.now = self.cpu = 1000.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.cpu

    process_time = thread_time


@pytest.mark.parametrize("cpu", [0.00005, 0.005])  # to measure one process, and 250 that no cgroup sums up
@pytest.mark.parametrize("wait", [0.0, 0.01])  # for the kernel, which sums up a cgroup only now and then
def test_seeking_takes_its_part_of_the_cpu_time_and_a_wait_for_the_kernel_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, cpu: float, wait: float
) -> None:
    machine = Machine()
    monkeypatch.setattr(sampling, "time", machine)
    monkeypatch.setattr(ledger, "time", machine)

    class Measured(Job):
        def read_memory(self) -> MemoryReading:
            machine.now += cpu + wait
            machine.cpu += cpu
            return super().read_memory()

    job: Any = Measured()
    job.held = 600 * MIB
    samples = JobSamples(job, began=machine.now)
    samples._next_slow = float("inf")
    samples.look()
    assert samples.ledger is not None
    samples.ledger._charged_asleep = samples.ledger._first = samples.ledger._last = job.held  # met asleep so far
    samples._largest_at = job.held
    began, spent, looks = machine.now, 0.0, 0
    while machine.now < began + 60:
        sought, before = samples.is_seeking, machine.cpu
        samples.look()
        if sought:
            spent, looks = spent + machine.cpu - before, looks + 1
        machine.now += 0.002 if sought else 0.5
    samples.close()
    assert spent < 0.6 + cpu  # one part of 125 of the minute, and what was saved up
    assert looks > min(60 / (0.002 + cpu + wait), 0.5 / max(cpu, 0.0001)) * 0.9
