"""Run every rival on every case, check every answer, keep every number: `python -m benchmarks.compare`.

Each run is a fresh process in a fresh memory cgroup with the case's limit; rivals take turns, so that a slow minute
of the machine hits all of them. The input is read once before each run (warm page cache, charged outside the
cgroup).

    python -m benchmarks.compare                                  all cases
    python -m benchmarks.compare --case fineweb_45mb --rival oomguard --rival tiktoken_loop
    python -m benchmarks.compare --shrink 50MB                    inputs cut to 50 MB: a try of the whole in minutes
    python -m benchmarks.compare --write-readme                   then put the newest record's tables into the READMEs
    python -m benchmarks.compare --write-readme --no-run          only that
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from benchmarks import corpus, recording, tables
from benchmarks.measuring import Run, run_measured
from benchmarks.reference import expected
from oomguard.units import parse_size

HERE = recording.HERE
sys.path.insert(0, str(HERE / "rivals"))

from token_stream import stream_sha256  # noqa: E402 - found by the path above

TIMEOUT_SECONDS = 3600.0


def prepare_input(wanted: dict[str, Any], shrink: int | None) -> tuple[Path, dict[str, Any]]:
    """The case's input file, made now if it is not there, and its record."""
    kind, seed = wanted["kind"], wanted.get("seed", 1)
    size = parse_size(wanted.get("size", "45MB"))
    if shrink is not None and kind != "sample":
        size = min(size, shrink)
    name = f"{kind}.txt" if kind == "sample" else f"{kind}-{size}-{seed}.txt"
    made = corpus.make(recording.DATA / name, size=size, kind=kind, seed=seed)
    return recording.DATA / name, made


def warm(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def run_rival(rival: dict[str, Any], source: Path, limit: int | None, timeout: float) -> tuple[Run, dict[str, Any]]:
    """One run in an output folder of its own, and what its files hold; the folder is removed."""
    python = recording.venv(rival["needs_venv"]) if "needs_venv" in rival else Path(sys.executable)
    with tempfile.TemporaryDirectory(prefix="out-", dir=recording.DATA) as folder:
        out = Path(folder, "tokens")
        command = [str(python), str(HERE / "rivals" / rival["script"]), str(source), str(out)]
        warm(source)
        done = run_measured(
            [*command, *rival.get("arguments", [])],
            memory_max=limit,
            input_path=source,
            timeout_seconds=timeout,
            environment={"BENCH_HASH": "0", **rival.get("environment", {})},
        )
        files = [Path(file) for file in done.result.get("files", [])]
        return done, stream_sha256(files) if files else {}


def judge(done: Run, found: dict[str, Any], right: dict[str, Any] | None) -> str:
    """The run's outcome in one word: a wrong answer is a failure, however quick it came."""
    if done.status != "done":
        return done.status
    if right is None:
        return "not checked"
    return "exact" if found == right else "wrong ids"


def run_case(name: str, only: list[str], shrink: int | None, folder: Path) -> None:
    """Every repetition of every rival chosen; each run is a row of runs.csv as soon as it has ended."""
    case = tomllib.loads((HERE / "cases" / f"{name}.toml").read_text())
    rivals = tomllib.loads((HERE / "rivals" / "rivals.toml").read_text())
    chosen = [rival for rival in case["rivals"] if not only or rival in only]
    for rival in chosen.copy():
        if (needed := rivals[rival].get("needs_venv")) and not recording.venv(needed).exists():
            print(f"{name}: {rival} left out: no {needed}; `make {needed}` installs it", flush=True)
            chosen.remove(rival)
    source, made = prepare_input(case["input"], shrink)
    right: dict[str, dict[str, Any] | None] = {"none": None}
    for splitting in {rivals[rival]["splitting"] for rival in chosen} - {"none"}:
        right[splitting] = expected(source, splitting=splitting, sha256=made["sha256"])
    limit = None if case["limit"]["memory_max"] == "none" else parse_size(case["limit"]["memory_max"])
    began = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds")
    timeout = float(case.get("timeout_seconds", TIMEOUT_SECONDS))
    for repetition in range(case["repetitions"]):
        for rival in chosen:
            if repetition >= case.get("repetitions_of", {}).get(rival, case["repetitions"]):
                continue
            done, found = run_rival(rivals[rival], source, limit, timeout)
            outcome = judge(done, found, right[rivals[rival]["splitting"]])
            row = {"began": began, "case": name, "rival": rival, "repetition": repetition}
            row |= _measured(made["size"], limit, outcome, done, found)
            recording.append_rows(folder / "runs.csv", [row])
            print(f"{name} #{repetition} {rival}: {outcome}, {done.wall_seconds:.2f} s,", end=" ")
            print(f"peak {done.reading.peak_unreclaimable >> 20} MiB", flush=True)
            if outcome == "failed":
                print(done.stderr[-600:], file=sys.stderr, flush=True)
    shutil.copy(f"{source}.json", folder / f"input-{source.stem}.json")


def _measured(size: int, limit: int | None, outcome: str, done: Run, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "input_bytes": size,
        "memory_max": limit if limit is not None else "none",
        "enforced": done.not_enforced or "cgroup",
        "exit_code": done.exit_code,
        "wall_seconds": round(done.wall_seconds, 3),
        "peak_unreclaimable": done.reading.peak_unreclaimable,
        "peak_with_kernel": done.reading.peak_with_kernel,
        "peak_usage": done.reading.peak_usage,
        "oom_kills": done.reading.oom_kills,
        "input_reached": done.reading.input_reached,
        "samples": done.reading.samples,
        "longest_gap_seconds": round(done.reading.longest_gap_seconds, 3),
        "tokens": done.result.get("tokens"),
        "ends_of_text": found.get("ends_of_text"),
        "sha256": found.get("sha256"),
        "in_memory_MB_per_second": done.result.get("MB_per_second"),
        "details": json.dumps(
            {key: done.result[key] for key in ("seconds", "ways", "best", "reported") if key in done.result}
        ),
    }


def run(cases: list[str], rivals: list[str], shrink: int | None) -> None:
    recording.DATA.mkdir(parents=True, exist_ok=True)
    # A shrunk run is a try: its numbers are shown, and do not join the record.
    folder = recording.new_record() if shrink is None else Path(tempfile.mkdtemp(prefix="try-", dir=recording.DATA))
    for name in cases:
        run_case(name, rivals, shrink, folder)
    print(tables.render(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted(file.stem for file in (HERE / "cases").glob("*.toml"))
    parser.add_argument("--case", action="append", choices=names)
    parser.add_argument("--rival", action="append", default=[])
    parser.add_argument("--shrink", type=parse_size, metavar="SIZE", help="cut every made input to this size")
    parser.add_argument("--write-readme", action="store_true")
    parser.add_argument("--no-run", action="store_true")
    asked = parser.parse_args()
    if not asked.no_run:
        run(asked.case or names, asked.rival, asked.shrink)
    if asked.write_readme:
        tables.write_readmes()


if __name__ == "__main__":
    main()
