"""Do profile's forecast and run's "at most" hold the truth? `python -m benchmarks.forecast_bands [--trials 200]`.

forecast  programs that read a file line by line and keep something of each line are ended at 10 to 90 % of it; what
          `profile` says of the end is compared with what the program holds when it has read all of it
at most   programs that hold some memory for some milliseconds, once or in steps; `run`'s "at most" is compared with
          what the program says that it held

The truth is what the program finds of itself in /proc/self/smaps_rollup. Where nothing is said, that is no trial. Exits
with 1 if fewer than 95 of 100 hold the truth (of fewer than 200 trials: if that cannot be chance), or a median is wider
than promised.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import holding

MIB = 1 << 20
FORECAST_WIDTH, AT_MOST_WIDTH = 0.15, 0.10
WORDS = [f"{first}{last}" for first in ("whale", "ship", "sea", "captain", "of", "the") for last in range(400)]

_HOLDS = """
def holds():
    with open("/proc/self/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) << 10 for line in rollup if line.startswith(("Anonymous:", "Swap:")))
"""
_READ = f"""
import array, hashlib, os, sys, time
{_HOLDS}
size, until = os.path.getsize(sys.argv[1]), float(sys.argv[2])
kept, seen, numbers, table, read = [], set(), array.array("q"), {{}}, 0
with open(sys.argv[1], "rb") as file:
    for count, line in enumerate(file):
        read += len(line)
        KEEP
        if count % 500 == 0:
            time.sleep(0.002)
            if read > until * size:
                os._exit(0)
print(holds(), flush=True)
os._exit(0)
"""
LINEAR = {
    "lines": "kept.append(line)",
    "words": "kept.append(line.split())",
    "texts": "kept.append(line.decode() * 2)",
    "numbers": "numbers.extend(line)",
    "some": "kept.append(line) if count % 3 else None",
    "batches": "kept.append(line * 20) if count % 20 == 0 else None",
}
OTHERS = {
    "hashes": "seen.add(hashlib.md5(line).digest())",
    "table": "table[line] = count",
    "flat": "line.split()",
    "words once": "seen.update(line.split())",
}
PROGRAMS = LINEAR | OTHERS

_SPIKE = f"""
import sys, time
{_HOLDS}
size, seconds, steps = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
time.sleep(0.2)
held = []
for _ in range(steps):
    held.append(bytearray(b"x") * (size // steps))
    time.sleep(seconds / steps)
most = holds()
del held
time.sleep(0.1)
print(most)
"""


def oomguard(folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "oomguard", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if arguments[0] == "run":
        return json.loads((folder / "report.json").read_text()), done.stdout
    if '{"schema"' not in done.stderr:
        sys.exit(f"{' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stderr[done.stderr.index('{"schema"') :].splitlines()[0]), done.stdout


def write_text(path: Path, megabytes: int, chance: random.Random) -> None:
    with path.open("w") as file:
        while file.tell() < megabytes * 1_000_000:
            file.writelines(f"{' '.join(chance.choices(WORDS, k=chance.randint(4, 20)))}\n" for _ in range(1000))


def run_forecasts(folder: Path, first: int, trials: int, seed: int) -> bool:
    held: list[bool] = []
    widths: list[float] = []
    withheld: dict[str, int] = {}
    truths: dict[tuple[str, int], int] = {}
    for number in itertools.count(first):
        if len(held) >= trials:
            break
        chance = random.Random(seed * 10_000 + number)
        name, megabytes = list(PROGRAMS)[number % len(PROGRAMS)], chance.choice((12, 20, 30))
        text, program = folder / f"{megabytes}.txt", folder / f"keeps_{name.replace(' ', '_')}.py"
        if not text.exists():
            write_text(text, megabytes, random.Random(megabytes))
        program.write_text(_READ.replace("KEEP", PROGRAMS[name]))
        if (name, megabytes) not in truths:
            run = subprocess.run([sys.executable, program, text, "2"], capture_output=True, text=True, check=True)
            truths[name, megabytes] = int(run.stdout)
        truth, stop = truths[name, megabytes], chance.uniform(0.1, 0.9)
        facts, _ = oomguard(
            folder, "profile", "--json", "-o", "recording", "--", sys.executable, program.name, text.name, f"{stop:.2f}"
        )
        (folder / "recording").unlink()
        made = facts["forecast"] or {"peak_unreclaimable": None}
        value = made["peak_unreclaimable"]
        if value is None:
            withheld[name] = withheld.get(name, 0) + 1
            said = f"no forecast: {made.get('why_not')}"
        else:
            low, high = value - made["band"], value + made["band"]
            held.append(low <= truth <= high)
            widths += [made["band"] / value] if name in LINEAR else []
            said = f"{value / truth - 1:+7.1%} ± {made['band'] / value:.1%}{'' if held[-1] else '   MISSED'}"
        print(f"{number:3} {name:11} {megabytes:3} MB at {stop:4.0%} of {truth / MIB:6.1f} MiB  {said}", flush=True)
    print(
        f"forecast  {holding.say(sum(held), len(held))}; median half-width where it grows along a line "
        f"{median(widths):.1%}; withheld: {withheld or 'never'}",
        flush=True,
    )
    return holding.is_as_promised(sum(held), len(held)) and median(widths) <= FORECAST_WIDTH


def run_at_most(folder: Path, first: int, trials: int, seed: int) -> bool:
    held: list[bool] = []
    over: list[float] = []
    unsaid = 0
    (folder / "spike.py").write_text(_SPIKE)
    for number in itertools.count(first):
        if len(held) >= trials:
            break
        chance = random.Random(seed * 20_000 + number)
        size, seconds = chance.randint(8, 300) * MIB, chance.choice((0.0, 0.005, 0.02, 0.05, 0.3))
        steps, way = chance.choice((1, 1, 4, 16)), ("cgroup", "polling")[number % 2]
        facts, said = oomguard(
            folder, "run", "--quiet", "--max-rss", "1G", "--enforce", way, "--report", "report.json", "--",
            sys.executable, "spike.py", str(size), str(seconds), str(steps),
        )  # fmt: skip
        (folder / "report.json").unlink()
        truth, bound = int(said), facts["peak_at_most"]
        if bound is None:  # nothing is said to be the most: only a cgroup has a high-water mark
            unsaid += 1
            continue
        held.append(bound >= truth * 0.999)  # what it held when it read its own file, and not a moment later
        over.append(bound / truth - 1)
        print(
            f"{number:3} {way:8} {size // MIB:4} MiB for {seconds:5.3f} s in {steps:2}: {over[-1]:+7.1%}"
            f"{'' if held[-1] else '   MISSED'}",
            flush=True,
        )
    print(
        f"at most   {holding.say(sum(held), len(held))}; median {median(over):.1%} above it; not said: {unsaid}",
        flush=True,
    )
    return holding.is_as_promised(sum(held), len(held)) and median(over) <= AT_MOST_WIDTH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["forecast", "at-most"])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, good = Path(name), True
        if "forecast" in arguments.parts:
            good &= run_forecasts(folder, arguments.first, arguments.trials, arguments.seed)
        if "at-most" in arguments.parts:
            good &= run_at_most(folder, arguments.first, arguments.trials, arguments.seed)
    sys.exit(not good)


if __name__ == "__main__":
    main()
