"""Is the line named each time, and nobody else touched? `make runs`: each program 50 times, on each way to hold it.

The programs, and what a report must say of them, are those of tests/live/run_cases.py. Beside each run lives a
bystander that allocates and counts the signals it gets. After all of it no cgroup may be left.

    python -m benchmarks.run_campaign --runs 50 --way cgroup --way watchdog
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.live.run_cases import CASES, Bystander, faults, leftovers, run_case


def campaign(name: str, way: str, runs: int) -> tuple[int, Counter[str], list[float]]:
    """How many runs were right, what was wrong with the others, and the seconds from the hold to the last stack."""
    right, wrong, looks = 0, Counter[str](), []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder, Bystander() as bystander:
            code, facts, _, _ = run_case(CASES[name], Path(folder), "--enforce", way)
            found = faults(CASES[name], code, facts)
            if bystander.is_stopped() or bystander.end():
                found.append("the bystander was signalled")
        looks += [facts["look_seconds"]] if facts.get("look_seconds") is not None else []
        right += not found
        wrong.update(found)
    return right, wrong, looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--way", action="append", choices=["cgroup", "watchdog"])
    asked = parser.parse_args()
    all_right = True
    print("| program | held by | named, nobody else touched | seconds to look, median (most) | faults |")
    print("|---|---|---:|---:|---|")
    for way in asked.way or ["cgroup", "watchdog"]:
        for name in CASES:
            right, wrong, looks = campaign(name, way, asked.runs)
            all_right &= right == asked.runs
            seconds = f"{statistics.median(looks):.2f} ({max(looks):.2f})" if looks else ""
            said = "; ".join(f"{count} x {what[:120]}" for what, count in wrong.items())
            print(f"| {name} | {way} | {right} of {asked.runs} | {seconds} | {said} |", flush=True)
    left = leftovers()
    print(f"\ncgroups left: {len(left)}")
    sys.exit(not all_right or bool(left))


if __name__ == "__main__":
    main()
