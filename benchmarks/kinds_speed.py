"""One text in every kind of input, oomguard beside gigatoken: `python -m benchmarks.kinds_speed`.

Both get two threads and fsync what they write; they take turns, kind by kind, and each lap is a ratio of its own, so
that what else the machine does hits both. oomguard writes end-of-text tokens, hashes its shards and compares a sample
with tiktoken; gigatoken's `encode_files` holds all tokens in memory, and only the ids are written
(rivals/gigatoken_kinds.py). All ids but end-of-text must be the same, in every lap and every kind but text, whose
document is the whole file.

Seconds are from outside, from before the start of a process to its end; CPU seconds those of all its processes.
What this does not show: more than two processors, a cold disk, documents that are much shorter or longer than 3 kB.
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
from statistics import median
from typing import Any

from benchmarks import corpus, kinds, recording
from benchmarks.compare import stream_sha256, warm
from oomguard.units import parse_size

RIVAL = recording.HERE / "rivals" / "gigatoken_kinds.py"


def timed(command: list[str], out: Path) -> dict[str, Any]:
    """Seconds, CPU seconds and the ids of one run."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as wrong:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=wrong, env=os.environ | {"BENCH_HASH": "0"})
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            wrong.seek(0)
            sys.exit(f"error: {' '.join(command)}: exit {child.returncode}\n{wrong.read().decode()}")
    ids = stream_sha256(sorted(out.glob("*.bin")))
    return {
        "seconds": round(wall, 3),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "ids": ids["sha256"],
        "text_tokens": ids["text_tokens"],
    }


def commands(kind: str, files: list[Path], budgets: list[str], out: Path) -> dict[str, list[str]]:
    names = [str(file) for file in files]
    job = [sys.executable, "-m", "oomguard", "prepare", *names, "--out", str(out), "--val-fraction", "0", "--quiet"]
    found = {budget: [*job, "--workers", "2", "--max-rss", budget] for budget in budgets}
    source = kind.partition(",")[0].partition(".")[0]
    return found | {"gigatoken": [sys.executable, str(RIVAL), source, str(out), *names]}


def laps(kind: str, source: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Every way in turn, as often as asked; the order changes from lap to lap."""
    files = kinds.make(source, kind, recording.DATA)
    runs: dict[str, list[dict[str, Any]]] = {}
    for lap in range(asked.laps):
        with tempfile.TemporaryDirectory(prefix="kinds-", dir=recording.DATA) as folder:
            ways = commands(kind, files, asked.budgets, Path(folder, "tokens"))
        order = list(ways)
        for way in order[lap % len(order) :] + order[: lap % len(order)]:
            for file in files:
                warm(file)
            with tempfile.TemporaryDirectory(prefix="kinds-", dir=recording.DATA) as folder:
                out = Path(folder, "tokens")
                runs.setdefault(way, []).append(timed(commands(kind, files, asked.budgets, out)[way], out))
    ids = {run["ids"] for way in runs.values() for run in way}
    return {"kind": kind, "bytes": source.stat().st_size, "differences": len(ids) - 1, "ids": min(ids), "runs": runs}


def show(row: dict[str, Any], text: dict[str, Any] | None) -> None:
    megabytes = row["bytes"] / 1e6

    def figures(way: str) -> str:
        runs = row["runs"][way]
        wall, cpu = (median(run[key] for run in runs) for key in ("seconds", "cpu_seconds"))
        return f"{way} {megabytes / wall:.0f} MB/s ({cpu:.2f} CPU s)"

    print(f"{row['kind']}: {'; '.join(figures(way) for way in row['runs'])}; differences {row['differences']}")
    rival = row["runs"]["gigatoken"]
    for way, runs in row["runs"].items():
        if way == "gigatoken":
            continue
        ratios = {
            key: median(other[key] / own[key] for own, other in zip(runs, rival, strict=True))
            for key in ("seconds", "cpu_seconds")
        }
        said = f"  {way}: {ratios['seconds']:.2f} of gigatoken's speed ({ratios['cpu_seconds']:.2f} by CPU time)"
        if text is not None:
            own = median(run["seconds"] for run in text["runs"][way]) / median(run["seconds"] for run in runs)
            said += f", {own:.2f} of plain text's"
        print(said, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=list(kinds.KINDS), default=list(kinds.KINDS))
    parser.add_argument("--size", type=parse_size, default=parse_size("640MB"))
    parser.add_argument("--laps", type=int, default=3)
    parser.add_argument("--budgets", nargs="+", default=["2G"])
    parser.add_argument("--make-only", action="store_true", help="write the inputs and stop")
    parser.add_argument("--record", action="store_true", help="add to kinds_speed.json in today's record")
    asked = parser.parse_args()
    recording.DATA.mkdir(parents=True, exist_ok=True)
    source = recording.DATA / f"text-{asked.size}-1.txt"
    corpus.make(source, size=asked.size, kind="text", seed=1)
    if asked.make_only:
        for kind in asked.kinds:
            kinds.make(source, kind, recording.DATA)
        return
    rows: list[dict[str, Any]] = []
    for kind in asked.kinds:
        rows.append(laps(kind, source, asked))
        show(rows[-1], next((row for row in rows if row["kind"] == "text" and kind != "text"), None))
    if asked.record:
        file = recording.new_record() / "kinds_speed.json"
        known = json.loads(file.read_text()) if file.exists() else []
        file.write_text(json.dumps(known + rows, indent=1) + "\n")
    documents = {row["ids"] for row in rows if row["kind"] not in ("text", "jsonl.gz")}  # .gz: another order
    if any(row["differences"] for row in rows) or len(documents) > 1:
        sys.exit("error: not the same ids")


if __name__ == "__main__":
    main()
