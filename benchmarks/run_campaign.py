"""Is the line named each time, and nobody else touched? `make runs`: each program 50 times, on each way to hold it.

The programs, and what a report must say of them, are those of tests/live/run_cases.py. Beside each run lives a
bystander that allocates and counts the signals it gets. After all of it no cgroup may be left. `make vmruns` does the
same in a virtual machine with cgroup v2, as often as its minutes allow.

    python -m benchmarks.run_campaign --runs 50 --way cgroup --way watchdog
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.live.run_cases import CASES, Bystander, faults, leftovers, run_case


@dataclass
class Tally:
    """What became of the runs of one program."""

    right: int = 0
    runs: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    looks: list[float] = field(default_factory=list)  # seconds from the hold to the last stack

    def add(self, name: str, way: str) -> None:
        """Run it once, with a bystander."""
        with tempfile.TemporaryDirectory() as folder, Bystander() as bystander:
            code, facts, _, _ = run_case(CASES[name], Path(folder), "--enforce", way)
            found = faults(CASES[name], code, facts)
            if bystander.is_stopped() or bystander.end():
                found.append("the bystander was signalled")
        self.looks += [facts["look_seconds"]] if facts.get("look_seconds") is not None else []
        self.right += not found
        self.runs += 1
        self.wrong.update(found)

    def row(self, name: str, way: str) -> str:
        """One line of the table."""
        seconds = f"{statistics.median(self.looks):.2f} ({max(self.looks):.2f})" if self.looks else ""
        said = "; ".join(f"{count} x {what[:120]}" for what, count in self.wrong.items())
        return f"| {name} | {way} | {self.right} of {self.runs} | {seconds} | {said} |"


def campaign(names: list[str], way: str, runs: int, until: float) -> dict[str, Tally]:
    """Run the programs in turn, each `runs` times or until the monotonic clock says `until`."""
    tallies = {name: Tally() for name in names}
    for _ in range(runs):
        for name, tally in tallies.items():
            if time.monotonic() < until:
                tally.add(name, way)
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no run after so many")
    parser.add_argument("--way", action="append", choices=["cgroup", "watchdog"])
    parser.add_argument("--program", action="append", choices=list(CASES))
    asked = parser.parse_args()
    until = time.monotonic() + asked.seconds
    all_right = True
    print("| program | held by | named, nobody else touched | seconds to look, median (most) | faults |")
    print("|---|---|---:|---:|---|")
    for way in asked.way or ["cgroup", "watchdog"]:
        for name, tally in campaign(asked.program or list(CASES), way, asked.runs, until).items():
            all_right &= 0 < tally.right == tally.runs
            print(tally.row(name, way), flush=True)
    left = leftovers()
    print(f"\ncgroups left: {len(left)}")
    sys.exit(not all_right or bool(left))


if __name__ == "__main__":
    main()
