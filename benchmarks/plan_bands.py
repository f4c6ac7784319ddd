"""Do `plan`'s bands hold the truth? `python -m benchmarks.plan_bands [--trials 200] [--only tokens] [--seed 1]`.

Each trial makes a corpus of its own: real documents drawn by a seed, in an order that is hard on samples (by length,
languages in blocks, one huge document among small ones), as one of the input formats. Then `plan` is asked, and
`prepare` does the job: its tokens, its peak and its time are the truth. `plan` promises a time with the CPUs to itself;
so the part of its time that `prepare` waited for CPUs that other programs had does not count (`time_alone`). `--only
tokens` asks the sample alone, in this process; `--facts` keeps what was said of each trial, as JSON Lines. Corpora that
both refuse count as no trial. Exits with 1 if a band holds the truth in fewer than 95 of 100 trials (of fewer than 200
trials: in fewer than such a band may), or is wider than promised.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import holding
from benchmarks.sample import load_documents
from oomguard.estimation.short_runs import TimeAlone

MB = 1_000_000
FORMATS = ("txt", "txt-separator", "jsonl", "parquet", "parquet-one-group", "txt.gz", "jsonl.zst", "many")
ORDERS = ("drawn", "huge", "by-length", "blocks", "alternating")
WIDTHS = {"tokens": 0.03, "peak": 0.15, "time": 0.30}
SEPARATOR = "<|doc|>"


@dataclass
class Band:
    """How often it held the truth, and how wide it was."""

    held: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)

    def add(self, low: float, value: float, high: float, truth: float) -> bool:
        self.held.append(low <= truth <= high)
        self.widths.append((high - low) / 2 / max(1e-9, value))
        return self.held[-1]

    def is_as_promised(self, name: str) -> bool:
        is_held = holding.is_as_promised(sum(self.held), len(self.held))
        return is_held and median(self.widths) <= WIDTHS[name]

    def __str__(self) -> str:
        held = holding.say(sum(self.held), len(self.held))
        return f"median half-width {100 * median(self.widths):.1f} %; {held}"


def documents() -> dict[str, list[str]]:
    """Real ones, by language where OOMGUARD_DATA has more than one."""
    found: dict[str, list[str]] = {"web": load_documents()[1]}
    for path in sorted(Path(os.environ.get("OOMGUARD_DATA", "."), "corpora/multilingual").glob("*.txt")):
        lines = path.read_text("utf-8", errors="replace").splitlines()
        found[path.stem] = ["\n".join(lines[at : at + 40]) for at in range(0, len(lines), 40)]
    return found


def draw(found: dict[str, list[str]], order: str, size: int, chance: random.Random) -> list[str]:
    """Documents of about `size` bytes, in an order."""
    kinds = list(found) if order in ("blocks", "alternating") else ["web"]
    made: list[str] = []
    for kind in kinds:
        left = size // len(kinds)
        while left > 0:
            document = chance.choice(found[kind])
            made.append(document)
            left -= len(document.encode()) + 1
    if order == "by-length":
        made.sort(key=len, reverse=chance.random() < 0.5)
    elif order == "alternating":
        chance.shuffle(made)
    elif order == "huge":
        half = len(made) // 2
        kind = chance.choice(list(found))
        made[half:] = ["\n".join(chance.choices(found[kind], k=max(1, size // 2 // 3000)))]
        chance.shuffle(made)
    return made


def write(made: list[str], kind: str, folder: Path) -> Path:
    lines = "".join(json.dumps({"id": n, "text": text}, ensure_ascii=n % 2 == 0) + "\n" for n, text in enumerate(made))
    if kind == "txt":
        (path := folder / "in.txt").write_text("\n\n".join(made))
    elif kind == "txt-separator":
        (path := folder / "in.txt").write_text(SEPARATOR.join(made))
    elif kind == "jsonl":
        (path := folder / "in.jsonl").write_text(lines)
    elif kind in ("parquet", "parquet-one-group"):
        rows = {"row_group_size": 1000} if kind == "parquet" else {}
        pq.write_table(pa.table({"id": range(len(made)), "text": made}), path := folder / "in.parquet", **rows)
    elif kind == "txt.gz":
        (path := folder / "in.txt.gz").write_bytes(gzip.compress("\n\n".join(made).encode(), compresslevel=1))
    elif kind == "jsonl.zst":
        with pa.CompressedOutputStream(str(path := folder / "in.jsonl.zst"), "zstd") as out:
            out.write(lines.encode())
    else:
        (path := folder / "in").mkdir()
        step = max(1, len(made) // 300)
        for number in range(0, len(made), step):
            (path / f"{number:06d}.txt").write_text("\n\n".join(made[number : number + step]))
    return path


class Refused(Exception):
    """A command said that it cannot be done."""


def oomguard(*arguments: str) -> dict[str, Any]:
    run = subprocess.run([sys.executable, "-m", "oomguard", *arguments, "--json"], capture_output=True, check=False)
    if run.returncode:
        raise Refused(f"oomguard {' '.join(arguments)}: {run.stderr.decode()}")
    return dict(json.loads(run.stdout))


def timed(*arguments: str) -> dict[str, Any]:
    """Run it, and add how long it took with the CPUs to itself."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as wrong:
        command = [sys.executable, "-m", "oomguard", *arguments, "--json", "--quiet"]
        child = subprocess.Popen(command, stdout=said, stderr=wrong)
        alone = TimeAlone(child.pid)
        while child.poll() is None:
            alone.look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.02)
        times = {"wall_seconds": time.monotonic() - began, "seconds_alone": alone.seconds()}
        said.seek(0)
        wrong.seek(0)
        if child.returncode:
            raise Refused(f"oomguard {' '.join(arguments)}: {wrong.read().decode()}")
        return dict(json.loads(said.read())) | times


def sampled_tokens(path: Path, kind: str) -> dict[str, int]:
    from oomguard.preparation.encoding.encodings import find_encoding
    from oomguard.preparation.reading.corpus_sample import sample_corpus
    from oomguard.preparation.reading.sources import find_sources

    separator = SEPARATOR.encode() if kind == "txt-separator" else b""
    sources = find_sources([str(path)], folder=Path(), exclude=None)
    tokens = sample_corpus(sources, spec=find_encoding("gpt2"), separator=separator, strict=True).tokens_with_ends
    return {"low": tokens.low, "value": tokens.value, "high": tokens.high}


def trial(path: Path, kind: str, bands: dict[str, Band], only: str) -> tuple[str, dict[str, Any]]:
    """One corpus; gives what it showed in a line, and the facts."""
    folder = path.parent
    flags = ["--separator", SEPARATOR] if kind == "txt-separator" else []
    job = ["prepare", str(path), "--out", str(folder / "out"), *flags]
    if only == "tokens":
        plan: dict[str, Any] = {"tokens": sampled_tokens(path, kind), "forecast": None}
        job += ["--val-fraction", "0", "--verify", "off"]
    else:
        job = ["run", "--max-rss", "512M", *job]
        try:
            plan = oomguard("plan", str(path), "--max-rss", "512M", "--out", str(folder / "out"), *flags)
        except Refused:  # it says that prepare would fail: then prepare must
            plan = {}
    try:
        run = timed(*job)
    except Refused:
        run = {}
    if not run and not plan:
        return "refused, as prepare does", {}
    if not run or not plan:
        for band in bands.values():
            band.held.append(False)
        return f"{'prepare' if plan else 'plan'} alone refuses it   MISSED", {}
    tokens, forecast = plan["tokens"], plan["forecast"]
    truth = run["tokens"]
    held = bands["tokens"].add(tokens["low"], tokens["value"], tokens["high"], truth)
    words = [f"tokens {100 * (tokens['value'] / truth - 1):+.2f}% ± {100 * bands['tokens'].widths[-1]:.2f}%"]
    if forecast is not None:
        peak, seconds = run["peak_unreclaimable"], run["seconds_alone"]
        held &= bands["peak"].add(forecast["peak_low"], forecast["peak"], forecast["peak_high"], peak)
        held &= bands["time"].add(forecast["seconds_low"], forecast["seconds"], forecast["seconds_high"], seconds)
        words.append(
            f"peak {100 * (forecast['peak'] / peak - 1):+.1f}%, time {forecast['seconds']:.2f} {seconds:.2f} s "
            f"(wall {forecast['seconds_beside_others']:.1f} {run['wall_seconds']:.1f} s)"
        )
    facts = {"tokens": tokens, "forecast": forecast, "tried": plan.get("tried"), "corpus": plan.get("corpus")}
    return f"{', '.join(words)}{'' if held else '   MISSED'}", facts | {"run": run}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", choices=("tokens", "all"), default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--megabytes", type=int, nargs=2, default=(26, 160))
    parser.add_argument("--facts", type=Path)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    arguments = parser.parse_args()
    found = documents()
    bands = {name: Band() for name in WIDTHS}
    for number in itertools.count(arguments.first):
        if len(bands["tokens"].held) >= arguments.trials:
            break
        chance = random.Random(arguments.seed * 100_000 + number)
        kind, order = FORMATS[number % len(FORMATS)], ORDERS[number // len(FORMATS) % len(ORDERS)]
        size = chance.randint(*arguments.megabytes) * MB
        with tempfile.TemporaryDirectory() as name:
            path = write(draw(found, order, size, chance), kind, Path(name))
            said, facts = trial(path, kind, bands, arguments.only)
        print(f"{number:3} {kind:17} {order:11} {size // MB:4} MB  {said}", flush=True)
        if arguments.facts:
            with arguments.facts.open("a") as file:
                file.write(json.dumps({"kind": kind, "order": order, "size": size, **facts}) + "\n")
    tried = {name: band for name, band in bands.items() if band.held}
    for name, band in tried.items():
        print(f"{name:6} {band}")
    sys.exit(not all(band.is_as_promised(name) for name, band in tried.items()))


if __name__ == "__main__":
    main()
