"""Tables for people from a record's runs.csv, and their place in the READMEs."""

from __future__ import annotations

import sys
import tomllib
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import recording
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BEGIN = "<!-- table: begin -->"
END = "<!-- table: end -->"
PROJECT_README_CASES = ("text_1gb_unlimited", "text_15gb_12gib")  # the rest is in benchmarks/README.md
Rows = list[dict[str, str]]


def render(folder: Path, only: Sequence[str] = ()) -> str:
    """The cases of a record: question, table, and what follows from it. Of repeated runs, the newest of each way."""
    rows = recording.read_rows(folder / "runs.csv")
    newest: dict[tuple[str, str], str] = {}
    for row in rows:
        key = row["case"], row["rival"]
        newest[key] = max(newest.get(key, ""), row["began"])
    rows = [row for row in rows if row["began"] == newest[row["case"], row["rival"]]]
    cases = [case for case in dict.fromkeys(row["case"] for row in rows) if not only or case in only]
    return "\n\n".join(_case(case, [row for row in rows if row["case"] == case]) for case in cases)


def _case(name: str, rows: Rows) -> str:
    case = tomllib.loads((recording.HERE / "cases" / f"{name}.toml").read_text())
    titles = tomllib.loads((recording.HERE / "rivals" / "rivals.toml").read_text())
    by_rival: dict[str, Rows] = {}
    for row in rows:
        by_rival.setdefault(row["rival"], []).append(row)
    limit = rows[0]["memory_max"]
    limit_text = "no memory limit" if limit == "none" else f"memory limit {format_size(int(limit))}"
    size = int(rows[0]["input_bytes"])
    lines = [
        f"**{case['question']}** ({size / 1e6:,.1f} MB, {limit_text}; `{name}`)",
        "",
        "| way | outcome | seconds, median (min to max) | MB/s | peak unreclaimable | runs |",
        "|---|---|---:|---:|---:|---:|",
        *(_line(titles[rival]["title"], runs) for rival, runs in by_rival.items()),
    ]
    return "\n".join(lines + _ratios(by_rival))


def _line(title: str, rows: Rows) -> str:
    outcomes = "; ".join(dict.fromkeys(_outcome(row) for row in rows))
    seconds = sorted(float(row["wall_seconds"]) for row in rows)
    peak = format_size(max(int(row["peak_unreclaimable"]) for row in rows))
    if rows[0]["in_memory_MB_per_second"]:
        rates = [float(row["in_memory_MB_per_second"]) for row in rows]
        spread = f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"
        return f"| {title} | ceiling | | {spread} | {peak} | {len(rows)} |"
    finished = all(row["outcome"] in ("exact", "wrong ids") for row in rows)
    time = f"{median(seconds):.2f} ({seconds[0]:.2f} to {seconds[-1]:.2f})"
    rate = f"{int(rows[0]['input_bytes']) / median(seconds) / 1e6:.1f}" if finished else ""
    return f"| {title} | {outcomes} | {time} | {rate} | {peak} | {len(rows)} |"


def _outcome(row: dict[str, str]) -> str:
    if row["outcome"] not in ("killed", "hung", "timeout"):
        return {"exact": "exact ids", "failed": f"failed, exit {row['exit_code']}"}.get(row["outcome"], row["outcome"])
    reached = f" at {int(row['input_reached']) / 1e6:,.0f} MB of input" if row["input_reached"] else ""
    ways = {"killed": f"**killed**{reached}", "hung": f"**hangs** after a worker was killed{reached}"}
    return ways.get(row["outcome"], f"not done in time{reached}")


def _ratios(by_rival: dict[str, Rows]) -> list[str]:
    """What "done when" asks: against the tiktoken loop, and against gigatoken in memory, from this one record."""

    def rate(rival: str) -> float | None:
        rows = by_rival.get(rival, [])
        if not rows or any(row["outcome"] != "exact" for row in rows):
            return None
        return int(rows[0]["input_bytes"]) / median(float(row["wall_seconds"]) for row in rows) / 1e6

    own = rate("oomguard")
    if own is None:
        return []
    facts = []
    for rival, label in (
        ("tiktoken_loop", "the tiktoken loop"),
        ("tiktoken_loop_numpy", "that loop with `encode_to_numpy`"),
        ("tokenizers_batch", "tokenizers 1.0"),
        ("gigatoken_files", "gigatoken's `encode_files` and a write"),
    ):
        if other := rate(rival):
            facts.append(f"{own / other:.1f} times as fast as {label}")
    if rows := by_rival.get("gigatoken_memory"):
        ceiling = median(float(row["in_memory_MB_per_second"]) for row in rows if row["in_memory_MB_per_second"])
        facts.append(f"{own / ceiling:.2f} times as fast as gigatoken encoding in memory only")
    *first, last = facts or [""]
    words = f"{', '.join(first)}, and {last}" if first else last
    return ["", f"End to end, oomguard is {words}."] if words else []


def write_readmes() -> None:
    """Put the newest record's tables between the markers of README.md and benchmarks/README.md."""
    folders = sorted(file.parent for file in (recording.HERE / "record").glob("*/runs.csv"))
    if not folders:
        sys.exit("error: no record yet\n  try: python -m benchmarks.compare")
    versions = ", ".join((folders[-1] / "versions.txt").read_text().splitlines())
    source = f"Raw numbers: `benchmarks/record/{folders[-1].name}/`. {versions}."
    for readme, only in ((recording.ROOT / "README.md", PROJECT_README_CASES), (recording.HERE / "README.md", ())):
        if not readme.exists() or BEGIN not in (old := readme.read_text()):
            print(f"{readme}: no markers, left as it is")
            continue
        if not (table := render(folders[-1], only)):
            print(f"{readme}: the record has none of {', '.join(only)}, left as it is")
            continue
        before, _, rest = old.partition(BEGIN)
        readme.write_text(f"{before}{BEGIN}\n{table}\n\n{source}\n{END}{rest.partition(END)[2]}")
        print(f"{readme}: written from {folders[-1].name}")
