"""What no second thread could take over: `python -m benchmarks.serial_share`.

Each kind of input is prepared twice, a part of it and all of it. The CPU time of every thread of every process is
sampled from /proc/PID/task/*/schedstat every 10 ms from outside; what the second run takes more than the first, for
each GB of text, is without the start. Workers share the chunks, so their work can be done by more of them; every other
thread is one of its kind, and none can be faster than its own share. So many GB a second a machine of N cores gives,
by these numbers: one over the larger of the busiest single thread and (all CPU time / N).

What this does not show: memory bandwidth, turbo clocks, hyperthreads, a disk; and a thread's last 10 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks import corpus, kinds, recording
from benchmarks.limits import pids_marked
from oomguard.units import parse_size

STEP_SECONDS = 0.01
LIMIT = 0.25  # CPU seconds for each GB of text
CORES = (2, 16, 64)


def role_of(pid: int, before: str) -> str:
    """The process by its command line: what it does for the run. One that is ending has none and is what it was."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    for name in ("engines.worker", "engines.reader_process"):
        if any(name.encode() in word for word in words):
            return name.rpartition(".")[2]
    return before or ("coordinator" if b"prepare" in words else "reaper")


def watch(child: subprocess.Popen[bytes], mark: bytes) -> dict[tuple[int, int], tuple[str, str, float]]:
    """By process and thread: what the process does, the thread's name, its CPU seconds."""
    spent: dict[tuple[int, int], tuple[str, str, float]] = {}
    roles: dict[int, str] = {}
    looked = -1.0
    pids: list[int] = []
    while child.poll() is None:
        if time.monotonic() - looked > 10 * STEP_SECONDS:
            looked, pids = time.monotonic(), pids_marked(mark)
        for pid in pids:
            with contextlib.suppress(OSError):
                roles[pid] = role_of(pid, roles.get(pid, ""))
                for task in Path(f"/proc/{pid}/task").iterdir():
                    name = "main" if int(task.name) == pid else (task / "comm").read_text().strip()
                    seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
                    spent[pid, int(task.name)] = roles[pid], name, seconds
        time.sleep(STEP_SECONDS)
    return spent


def run(sources: list[Path], budget: str, workers: int) -> dict[str, Any]:
    """One run, its CPU time by role, and by thread where a role has one process."""
    with tempfile.TemporaryDirectory(prefix="share-", dir=recording.DATA) as out:
        value = secrets.token_hex(8)
        command = [sys.executable, "-m", "oomguard", "prepare", *map(str, sources), "--out", f"{out}/tokens"]
        command += ["--val-fraction", "0", "--quiet", "--max-rss", budget, "--workers", str(workers)]
        before = os.times()
        child = subprocess.Popen(
            command, env=os.environ | {"OOMGUARD_BENCH_RUN": value}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        spent = watch(child, f"OOMGUARD_BENCH_RUN={value}".encode())
        assert child.stderr is not None
        if child.wait():
            sys.exit(f"error: {child.stderr.read().decode()}")
        child.stderr.close()
        after = os.times()
    threads: dict[str, float] = defaultdict(float)
    job = max((pid for pid, _ in spent if spent[pid, pid][0] == "coordinator"), default=0)
    for (pid, _), (role, name, seconds) in spent.items():
        # The supervisor starts the job as a copy of itself, by way of the reaper.
        who = "supervisor or reaper" if role == "coordinator" and pid != job else role
        threads[f"{who}: {name}"] += seconds
    total = after.children_user + after.children_system - before.children_user - before.children_system
    return {"cpu_seconds": round(total, 3), "threads": {name: round(seconds, 3) for name, seconds in threads.items()}}


def share(kind: str, source: Path, small: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """What each thread takes for a GB, beyond the start."""
    folder = recording.DATA
    part, whole = (run(kinds.make(file, kind, folder), asked.budget, asked.workers) for file in (small, source))
    size = (source.stat().st_size - small.stat().st_size) / 1e9
    names = dict.fromkeys([*part["threads"], *whole["threads"]])
    per_gb = {name: (whole["threads"].get(name, 0.0) - part["threads"].get(name, 0.0)) / size for name in names}
    serial = {name: value for name, value in per_gb.items() if not name.startswith("worker:")}
    total = (whole["cpu_seconds"] - part["cpu_seconds"]) / size
    busiest = max(serial.values(), default=0.0)
    return {
        "kind": kind,
        "bytes": source.stat().st_size,
        "runs": [part, whole],
        "total_per_gb": round(total, 3),
        "per_gb": {name: round(value, 3) for name, value in per_gb.items()},
        "serial_per_gb": round(sum(serial.values()), 3),
        "busiest_per_gb": round(busiest, 3),
        "gb_per_second": {cores: round(1 / max(busiest, total / cores), 2) for cores in CORES},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=list(kinds.KINDS), default=list(kinds.KINDS))
    parser.add_argument("--size", type=parse_size, default=parse_size("1GB"), help="of the text; the part is a quarter")
    parser.add_argument("--budget", default="2G")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="write serial_share.json into today's record")
    asked = parser.parse_args()
    recording.DATA.mkdir(parents=True, exist_ok=True)
    files = []
    for size in (asked.size, asked.size // 4):
        files.append(recording.DATA / f"text-{size}-1.txt")
        corpus.make(files[-1], size=size, kind="text", seed=1)
    rows = []
    for kind in asked.kinds:
        row = share(kind, *files, asked)
        rows.append(row)
        verdict = "yes" if row["busiest_per_gb"] <= LIMIT else "NO"
        print(f"{kind}: {row['total_per_gb']:.2f} CPU s for each GB; single threads {row['serial_per_gb']:.2f}")
        print(f"  none busier than {LIMIT} s: {verdict}; GB/s by cores: {row['gb_per_second']}")
        for name, seconds in sorted(row["per_gb"].items(), key=lambda item: -item[1]):
            print(f"  {seconds:7.3f}  {name}", flush=True)
    if asked.record:
        (recording.new_record() / "serial_share.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
