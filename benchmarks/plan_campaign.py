"""Does `plan` say what the run then takes? `python -m benchmarks.plan_campaign [--size 1GB] [--only text]`.

Three inputs (text, JSON Lines, Parquet) under three budgets: the plan first, then the run it plans. Prints the
predicted and the measured peak and time, and how far apart they are; exits with 1 if a peak is off by more than 10 %, a
time by 25 %.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.corpus import make
from oomguard.units import format_size, parse_size

BUDGETS = ("256M", "512M", "2G")
HERE = Path("bench-data/plan")
PEAK_OFF, TIME_OFF = 0.10, 0.25


def inputs(size: int) -> dict[str, Path]:
    """The same text three times; jsonl and parquet have a document for each of its blank-line sections."""
    HERE.mkdir(parents=True, exist_ok=True)
    text = HERE / f"text-{size}.txt"
    make(text, size=size, kind="text", seed=1)
    lines, table = text.with_suffix(".jsonl"), text.with_suffix(".parquet")
    if not table.exists():
        import pyarrow as pa
        import pyarrow.parquet as pq

        documents = text.read_text("utf-8").split("\n\n")
        with lines.open("w") as out:
            out.writelines(json.dumps({"text": document}) + "\n" for document in documents)
        pq.write_table(pa.table({"text": documents}), table, row_group_size=1000)
    return {"text": text, "jsonl": lines, "parquet": table}


def oomguard(*arguments: str) -> tuple[dict[str, object], float]:
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "oomguard", *arguments, "--json"], capture_output=True, text=True, check=False
    )
    if run.returncode:
        sys.exit(f"oomguard {' '.join(arguments)}: {run.stderr}")
    return json.loads(run.stdout), time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=parse_size, default=parse_size("1GB"))
    parser.add_argument("--only", choices=("text", "jsonl", "parquet"))
    arguments = parser.parse_args()
    bad = 0
    print("input    budget  peak said       was    off   time said    was    off  planning")
    for kind, path in inputs(arguments.size).items():
        if arguments.only not in (None, kind):
            continue
        for budget in BUDGETS:
            plan, planned = oomguard("plan", str(path), "--max-rss", budget, "--out", str(HERE / "out"))
            forecast = plan["forecast"]
            shutil.rmtree(HERE / "out", ignore_errors=True)
            job = ("prepare", str(path), "--out", str(HERE / "out"), "--quiet")
            run, seconds = oomguard("run", "--max-rss", budget, *job)
            shutil.rmtree(HERE / "out", ignore_errors=True)
            peak = run["peak_unreclaimable"]
            peak_off, time_off = forecast["peak"] / peak - 1, forecast["seconds"] / seconds - 1
            bad += abs(peak_off) > PEAK_OFF or abs(time_off) > TIME_OFF
            sizes = f"{format_size(forecast['peak']):>10} {format_size(peak):>9}"
            print(
                f"{kind:8} {budget:6} {sizes} {100 * peak_off:+5.1f}%   "
                f"{forecast['seconds']:8.1f}s {seconds:5.1f}s {100 * time_off:+5.1f}%  {planned:.1f} s"
                f"   tokens {100 * (plan['tokens']['value'] / run['tokens'] - 1):+.2f}%"
                f" within band: {plan['tokens']['low'] <= run['tokens'] <= plan['tokens']['high']}",
                flush=True,
            )
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
