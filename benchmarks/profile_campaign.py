"""How far `profile` is from the truth: `python -m benchmarks.profile_campaign [--size 300MB] [PART ...]`.

peak      a tree that says itself what it holds at its peak, 20 runs by each tier
spike     300 MB for 100 ms in a grandchild, 20 runs by each tier: in the peak, or within the bound
forecast  what is said at 20 % of the input, beside the peak of that run
ladder    what three beginnings of the input say, beside the peak on all of it
lines     what is charged to each line, beside memray's high-water mark
cost      CPU and memory of the profiler beside ten processes
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.corpus import make
from oomguard.units import MIB, format_size, parse_size

HERE = Path("bench-data/profile")
PROGRAMS = Path(__file__).parent / "programs"
RUNS = 20
_START_SECONDS = 2.0
STREAMING = ("lines", "ids", "pieces", "records", "flat")
CANNOT_KNOW = ("whole", "mapped", "twice")
LADDER = ("twice", "whole", "table", "array", "dataset")
LINES = ("lines", "ids", "phases")


def profile(*arguments: str, tier: str = "auto") -> dict[str, Any]:
    """Give a profile as JSON."""
    command = [sys.executable, "-m", "oomguard", "profile", "--json", "--enforce", tier, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1]) | {"said": done.stdout}
    except (IndexError, ValueError):
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return found


def program(name: str) -> list[str]:
    """The command of one of our programs."""
    return [sys.executable, str(PROGRAMS / f"{name}.py")]


def run_peak() -> bool:
    """Line by line: the tier, the least and the most that was seen, and how many were near enough."""
    good = True
    for tier, off in (("cgroup", 0.01), ("watchdog", 0.03)):
        profiles = [profile("-o", str(HERE / "peak.jsonl"), "--", *program("tree"), tier=tier) for _ in range(RUNS)]
        offs = [one["peak_unreclaimable"] / int(one["said"]) - 1 for one in profiles]
        near = sum(abs(one) <= off for one in offs)
        good &= near == RUNS
        truth = format_size(int(profiles[-1]["said"]))
        print(
            f"peak      {tier:9} {near} of {RUNS} within {off:.0%} of {truth}: {min(offs):+.1%} to {max(offs):+.1%}",
            flush=True,
        )
    return good


def run_spike() -> bool:
    """A spike between two samples is in the peak by the kernel's mark, else within what is said to be missed."""
    good, true = True, 300 * MIB
    for tier in ("cgroup", "watchdog"):
        profiles = [profile("-o", str(HERE / "spike.jsonl"), "--", *program("spike"), tier=tier) for _ in range(RUNS)]
        seen = sum(one["peak_unreclaimable"] >= 0.99 * true for one in profiles)
        bounded = sum(one["peak_unreclaimable"] + one["missed_at_most"] >= true for one in profiles)
        good &= bounded == RUNS and (seen == RUNS or tier == "watchdog")
        missed = [format_size(one["missed_at_most"]) for one in profiles]
        print(
            f"spike     {tier:9} {seen} of {RUNS} in the peak, {bounded} of {RUNS} within the bound "
            f"(missed at most {missed[0]}, ...)",
            flush=True,
        )
    return good


def forecast_at(recording: Path, fraction: float) -> dict[str, Any] | None:
    """The first forecast that was made when so much of the input had been read; else the last."""
    last: dict[str, Any] | None = None
    for line in recording.read_text().splitlines():
        found = json.loads(line).get("forecast")
        if found and found["read_bytes"] >= fraction * found["input_bytes"]:
            return dict(found)
        last = found or last
    return last


def run_forecast(text: Path) -> bool:
    """Each streaming program, and those of which nothing can be said."""
    good = True
    for name in (*STREAMING, *CANNOT_KNOW):
        recording = HERE / f"forecast-{name}.jsonl"
        peak = profile("-o", str(recording), "--", *program(name), str(text))["peak_unreclaimable"]
        made = forecast_at(recording, 0.2) or {"at_end": None, "why_not": "no forecast"}
        if made["at_end"] is None:
            good &= name in CANNOT_KNOW
            print(f"forecast  {name:9} peak {format_size(peak):>9}; none: {made['why_not']}", flush=True)
            continue
        off = made["at_end"] / peak - 1
        good &= abs(off) <= 0.10 and name in STREAMING
        at = made["read_bytes"] / made["input_bytes"]
        print(f"forecast  {name:9} peak {format_size(peak):>9}; at {at:.0%} of the input {off:+.1%}", flush=True)
    return good


def run_ladder(text: Path) -> bool:
    """Each program on three beginnings, then on all of it."""
    good = True
    for name in LADDER:
        made = profile("-o", str(HERE / "rungs.jsonl"), "--ladder", str(text), "--", *program(name), str(text))[
            "forecast"
        ]
        peak = profile("-o", str(HERE / "all.jsonl"), "--", *program(name), str(text))["peak_unreclaimable"]
        said = made["peak_unreclaimable"]
        off = said / peak - 1 if said is not None else float("nan")
        good &= abs(off) <= 0.15
        print(f"ladder    {name:9} peak {format_size(peak):>9}; {off:+.1%} {made['why_not'] or ''}", flush=True)
    return good


def memray_lines(command: list[str], folder: Path) -> tuple[dict[int, int], int]:
    """What memray says each line of the program held at its peak, and that peak."""
    import memray

    file = folder / "memray.bin"
    subprocess.run(
        [sys.executable, "-m", "memray", "run", "-q", "-o", str(file), *command[1:]], check=True, capture_output=True
    )
    held: dict[int, int] = {}
    reader = memray.FileReader(str(file))
    for record in reader.get_high_watermark_allocation_records(merge_threads=True):
        line = next((frame[2] for frame in record.stack_trace() if frame[1].startswith(str(PROGRAMS))), 0)
        held[line] = held.get(line, 0) + record.size
    return held, reader.metadata.peak_memory


def run_lines(text: Path) -> bool:
    """The largest difference of one line, as a part of the peak."""
    good = True
    small = text.with_name("lines.txt")
    small.write_bytes(text.read_bytes()[: 60 * MIB])
    for name in LINES:
        command = [*program(name), str(small)]
        with tempfile.TemporaryDirectory() as folder:
            theirs, their_peak = memray_lines(command, Path(folder))
        ours = profile("-o", str(HERE / "lines.jsonl"), "--", *command)
        mine: dict[int, int] = {}
        for line in ours["lines"]:
            if line["file"].startswith(str(PROGRAMS)):
                mine[line["line"]] = mine.get(line["line"], 0) + line["grew_bytes"]
        peak = ours["peak_unreclaimable"]
        offs = {line: abs(mine.get(line, 0) / peak - size / their_peak) for line, size in theirs.items()}
        worst = max(offs, key=lambda line: offs[line])
        good &= max(mine, key=lambda line: mine[line]) == max(theirs, key=lambda line: theirs[line])
        print(
            f"lines     {name:9} worst line {worst}: {mine.get(worst, 0) / peak:.0%} of {format_size(peak)}, memray "
            f"{theirs[worst] / their_peak:.0%} of {format_size(their_peak)}",
            flush=True,
        )
    return good


def run_cost(seconds: float = 60.0) -> bool:
    """Ten processes that hold 20 MiB each and work a little."""
    good = True
    for tier in ("cgroup", "watchdog"):
        arguments = ["-o", str(HERE / "cost.jsonl"), "--enforce", tier, "--", *program("ten"), str(seconds)]
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "oomguard", "profile", *arguments], stderr=subprocess.DEVNULL
        ) as run:
            cpu: dict[int, float] = {}
            most, start = 0, 0.0
            while run.poll() is None:
                most = max(most, _look(run.pid, cpu))
                start = start or (sum(cpu.values()) if time.monotonic() - began > _START_SECONDS else 0.0)
                time.sleep(0.2)
        part = (sum(cpu.values()) - start) / (time.monotonic() - began - _START_SECONDS)
        good &= part < 0.01 and most < 50 * MIB
        print(
            f"cost      {tier:9} {part:.2%} of a CPU, and {start:.2f} s in the first {_START_SECONDS:g} s; "
            f"at most {format_size(most)} resident",
            flush=True,
        )
    return good


def _look(pid: int, cpu: dict[int, float]) -> int:
    """Note the CPU of each process that is not the job's; gives the resident memory of the profiler's own."""
    try:
        profiler = psutil.Process(pid)
        ours = [
            profiler,
            *(child for child in profiler.children(recursive=True) if "ten.py" not in " ".join(child.cmdline())),
        ]
        for one in ours:
            times = one.cpu_times()
            cpu[one.pid] = times.user + times.system
        return profiler.memory_info().rss
    except psutil.Error:
        return 0


def main() -> None:
    """Run the parts that were asked for; exits with 1 if one missed its mark."""
    parts = ("peak", "spike", "forecast", "ladder", "lines", "cost")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=parse_size, default=parse_size("300MB"))
    parser.add_argument("parts", nargs="*", default=parts, metavar="PART")
    arguments = parser.parse_args()
    HERE.mkdir(parents=True, exist_ok=True)
    text = (HERE / f"text-{arguments.size}.txt").resolve()
    make(text, size=arguments.size, kind="text", seed=1)
    os.environ["HF_DATASETS_CACHE"] = str(HERE / "datasets")
    parts_with_text = {"forecast": run_forecast, "ladder": run_ladder, "lines": run_lines}
    others = {"peak": run_peak, "spike": run_spike, "cost": run_cost}
    good = [others[part]() if part in others else parts_with_text[part](text) for part in arguments.parts]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
