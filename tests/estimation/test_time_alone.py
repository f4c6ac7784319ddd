"""The time that a run would have taken with the CPUs to itself: of processes that are made up, and of a real one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oomguard.estimation.short_runs import TimeAlone


class Machine:
    """A clock, and a /proc with a process and its children."""

    def __init__(self, folder: Path, children: int) -> None:
        self.now, self.folder = 100.0, folder
        self.times = {pid: [0.0, 0.0] for pid in range(1, children + 2)}
        for pid in self.times:
            task = folder / f"proc/{pid}/task/{pid}"
            task.mkdir(parents=True)
            (task / "children").write_text(" ".join(str(other) for other in self.times if other > 1 == pid))

    def goes_on(self, seconds: float, *, ran: list[float], waited: list[float]) -> None:
        self.now += seconds
        for times, run, wait in zip(self.times.values(), ran, waited, strict=True):
            times[0] += run
            times[1] += wait
        for pid, (run, wait) in self.times.items():
            (self.folder / f"proc/{pid}/schedstat").write_text(f"{int(run * 1e9)} {int(wait * 1e9)} 7\n")


@pytest.mark.parametrize(
    ("ran", "waited", "cpus", "alone"),
    [
        ([4.0], [0.0], 2, 4.0),  # nothing else runs
        ([1.0], [0.0], 2, 4.0),  # it sleeps for the disk, alone or not
        ([1.0], [3.0], 2, 1.0),  # another program has the CPU
        ([1.0], [1.5], 2, 2.5),  # both
        ([0.0, 4.0, 4.0], [0.0, 0.0, 0.0], 2, 4.0),  # two workers on two CPUs
        ([0.0, 1.0, 1.0], [0.0, 3.0, 3.0], 2, 1.0),  # which others have
        ([0.0, 2.0, 2.0], [0.0, 2.0, 2.0], 1, 4.0),  # two workers on one CPU wait for each other
        ([0.0, 1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0, 1.0], 2, 4.0),  # likewise, and sleep half of the time
    ],
)
def test_waiting_for_a_cpu_that_others_have_does_not_count(
    tmp_path: Path, ran: list[float], waited: list[float], cpus: int, alone: float
) -> None:
    machine = Machine(tmp_path, children=len(ran) - 1)
    watched = TimeAlone(1, root=tmp_path, clock=lambda: machine.now, cpus=cpus)
    for _ in range(10):
        machine.goes_on(0.4, ran=[one / 10 for one in ran], waited=[one / 10 for one in waited])
        watched.look()
    assert watched.seconds() == pytest.approx(alone, rel=1e-3)


def test_without_scheduler_statistics_all_of_it_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, children=1)
    watched = TimeAlone(1, root=tmp_path, clock=lambda: machine.now, cpus=2)
    machine.now += 3.0
    watched.look()
    assert watched.seconds() == pytest.approx(3.0)


def test_a_program_that_shares_its_cpu_took_half_of_the_time() -> None:
    """Two that only calculate, on one CPU: each has half of it, whatever else runs there."""
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel keeps no scheduler statistics")
    (cpu, *_) = os.sched_getaffinity(0)
    spin = f"import os, time\nos.sched_setaffinity(0, [{cpu}])\nwhile time.process_time() < 0.4: pass"
    command = [sys.executable, "-I", "-c", spin]
    with subprocess.Popen(command) as one, subprocess.Popen(command) as other:
        began = time.monotonic()
        watched = TimeAlone(one.pid)
        while one.poll() is None:
            watched.look()
            time.sleep(0.01)
        lasted = time.monotonic() - began
        other.wait()
    assert 0.3 <= watched.seconds() <= 0.75 * lasted
