"""Is the memory of a run the same for 0.1, 1 and 15 GB, and is it what `plan` said? `python -m benchmarks.flat_memory`.

Each run is `oomguard run --max-rss BUDGET prepare` in a cgroup without a limit. Every 10 ms memory.stat is read of the
cgroup that oomguard makes for the job, whose memory the budget limits, and of the one around it, in which the
supervisor and the reaper are too: anonymous + shmem + kernel (v1: memory.kmem.usage_in_bytes, which also counts what
the kernel could take back). `plan` is asked first: `sum` is what it adds up, `forecast` what it expects after trying.

    python -m benchmarks.flat_memory --kinds text random-words --budget 96M     100 MB, 1 GB, 15 GB (60 GB of disk)
    python -m benchmarks.flat_memory --kinds jsonl parquet --budget 160M --sizes 100MB 1GB
    python -m benchmarks.flat_memory --kinds text --budget 2G --sizes 1GB --workers 2 8 32

What this does not show: v2's `kernel`, where v1 is mounted; documents of unusual size.
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

from benchmarks import corpus, kinds, recording
from benchmarks.limits import STEP_SECONDS, Limited, memory_of, oom_kills
from oomguard.units import format_size, parse_size


def sources(kind: str, size: int) -> list[Path]:
    """The input, made if it is not there."""
    made = kind if kind == "random-words" else "text"
    text = recording.DATA / f"{made}-{size}-1.txt"
    present = text.stem + "-" + kinds.KINDS[kind][0] if kind in kinds.KINDS else ""
    if kind not in ("text", "random-words") and (recording.DATA / present).is_file():
        return [recording.DATA / present]  # the text it was made of may have been removed
    corpus.make(text, size=size, kind=made, seed=1)
    return [text] if made == kind else kinds.make(text, kind, recording.DATA)


def plan(files: list[Path], budget: str, workers: int | None, folder: Path) -> dict[str, int | None]:
    """What `plan` says that the run takes."""
    command = [sys.executable, "-m", "oomguard", "plan", *map(str, files), "--max-rss", budget, "--json"]
    command += ["--out", str(folder / "tokens")]
    command += [] if workers is None else ["--workers", str(workers)]
    said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return {"sum": said["prepare"]["sum"], "forecast": said["forecast"]["peak"] if said["forecast"] else None}


def run(files: list[Path], budget: str, workers: int | None) -> dict[str, Any]:
    """One run, watched from outside."""
    with tempfile.TemporaryDirectory(prefix="flat-", dir=recording.DATA) as name, Limited(None) as limited:
        if limited.path is None:
            sys.exit(f"error: {limited.why_not}")
        folder = Path(name)
        planned = plan(files, budget, workers, folder)
        command = [sys.executable, "-m", "oomguard", "run", "--max-rss", budget, "prepare", *map(str, files)]
        command += ["--out", str(folder / "tokens"), "--json", "--quiet"]
        command += [] if workers is None else ["--workers", str(workers)]
        with tempfile.TemporaryFile() as out:
            began = time.monotonic()
            child = subprocess.Popen(command, stdout=out, preexec_fn=limited.enter)  # noqa: PLW1509 - one thread
            seen = watch(child, limited.path)
            seconds = time.monotonic() - began
            kills = oom_kills(limited.path)
            out.seek(0)
            said = json.loads(out.read()) if child.returncode == 0 else {}
    return (
        planned
        | seen
        | {
            "exit_code": child.returncode,
            "oom_kills": kills,
            "peak_reported": said.get("peak_unreclaimable"),
            "workers": said.get("workers", workers),
            "text_bytes": said.get("input_bytes"),
            "tokens": said.get("tokens"),
            "sha256": said["shards"][0]["sha256"] if said else None,
            "seconds": round(seconds, 2),
        }
    )


def watch(child: subprocess.Popen[bytes], outer: Path) -> dict[str, Any]:
    """The highest sums of both cgroups, and how closely they were looked at. Waits for the child."""
    job = everything = samples = user = 0
    gap, last, looked = 0.0, time.monotonic(), 0.0
    inner: list[Path] = []
    cpu = 0.0
    while True:
        now = time.monotonic()
        gap, last = max(gap, now - last), now
        if now - looked > 0.1:
            looked, inner = now, [place for place in outer.glob("*/") if place.name.startswith("oomguard")]
        everything = max(everything, sum(memory_of(outer)))
        for place in inner:
            of_job, kernel = memory_of(place)
            job, user = max(job, of_job + kernel), max(user, of_job)
        samples += 1
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            cpu = usage.ru_utime + usage.ru_stime
            break
        time.sleep(STEP_SECONDS)
    return {
        "peak_job": job,
        "peak_job_user": user,
        "peak_everything": everything,
        "samples": samples,
        "longest_gap_seconds": round(gap, 3),
        "cpu_seconds": round(cpu, 2),
    }


def show(row: dict[str, Any]) -> None:
    sizes = {
        key: format_size(row[key]) if row[key] is not None else "-"
        for key in ("peak_job", "peak_job_user", "peak_reported", "peak_everything", "sum", "forecast")
    }
    print(
        f"{row['kind']:12} {row['size'] / 1e6:8,.0f} MB {row['budget']:>5} {row['workers']} workers: "
        f"job {sizes['peak_job']}, without kernel memory {sizes['peak_job_user']} (by its own account "
        f"{sizes['peak_reported']}; with the supervisor {sizes['peak_everything']}), "
        f"plan's sum {sizes['sum']}, forecast {sizes['forecast']}; "
        f"{row['seconds']:.1f} s, {row['cpu_seconds']:.1f} CPU s, exit {row['exit_code']}, "
        f"longest gap {row['longest_gap_seconds']:.2f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=[*kinds.KINDS, "random-words"], default=["text"])
    parser.add_argument("--sizes", nargs="+", type=parse_size, default=[10**8, 10**9, 15 * 10**9])
    parser.add_argument("--budget", default="96M")
    parser.add_argument("--workers", nargs="+", type=int, default=[None])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="add to flat_memory.csv in today's record")
    asked = parser.parse_args()
    recording.DATA.mkdir(parents=True, exist_ok=True)
    failed = 0
    for kind in asked.kinds:
        for size in asked.sizes:
            files = sources(kind, size)
            for workers in asked.workers:
                for _ in range(asked.runs):
                    row = {"kind": kind, "size": size, "budget": asked.budget} | run(files, asked.budget, workers)
                    failed += row["exit_code"] != 0 or row["oom_kills"] != 0
                    show(row)
                    if asked.record:
                        recording.append_rows(recording.new_record() / "flat_memory.csv", [row])
    sys.exit(f"error: {failed} runs failed, or had a process killed" if failed else 0)


if __name__ == "__main__":
    main()
