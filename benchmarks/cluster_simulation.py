"""What the driver of a very large job takes: 100,000 units, 10**12 tokens, 10**9 documents.

    python -m benchmarks.cluster_simulation

The real code plans, reads the plan, hands out the units, counts, plans the shards, keeps account of parts, and notes
the shards; each step in a process of its own, whose CPU seconds and peak memory are measured. Content is not real:

    inputs    sparse files; a paragraph stands where each unit may begin, and the rest was never written
    units     tasks that end at once, and say that they did 10**7 tokens
    parts     numbers: segments as their footers tell them, and document ends from a generator of random numbers
    shards    sparse files of their size, with receipts

The files take some 2 GB of disk in all. Both kinds of format are counted: shards of so many tokens (npy), and shards
that end with a document (datatrove).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1 << 20
UNIT = 256 * MIB
FILES = 100  # inputs
DOCUMENT = 1000  # tokens of one, at the mean
PARAGRAPH = b"It is a paragraph of the text.\n\n" * 4
SHARD_TOKENS = 10**8


def options(folder: Path, token_format: str) -> Any:
    from oomguard.preparation.options import PrepareOptions

    inputs = tuple(str(path) for path in sorted((folder / "in").glob("*.txt")))
    return PrepareOptions(
        inputs=inputs, out=folder / token_format, format=token_format, separator="\n\n", val_fraction="0.0005",
        shard_tokens=SHARD_TOKENS,
    )  # fmt: skip


def make_inputs(folder: Path, units: int) -> None:
    (folder / "in").mkdir(parents=True)
    each = units // FILES
    for number in range(FILES):
        with (folder / "in" / f"{number:03d}.txt").open("wb") as file:
            for unit in range(each + 1):
                file.seek(max(0, unit * UNIT - len(PARAGRAPH)))
                file.write(PARAGRAPH * 2)
            file.truncate(each * UNIT)


def plan(folder: Path, asked: argparse.Namespace) -> str:
    """`prepare --job-only`."""
    from oomguard.preparation.cluster.api import plan_to

    job = plan_to(folder / f"{asked.format}.json", options(folder, asked.format), unit_bytes=UNIT)
    return f"{len(job.units):,} units, {(folder / f'{asked.format}.json').stat().st_size:,} bytes of job.json"


class _Ray:
    """Tasks that have ended as soon as they are asked for."""

    class exceptions:  # noqa: N801 - as Ray has it
        class RayError(Exception):
            pass

    def __init__(self) -> None:
        self._next = 0
        self._peak = 0

    def remote(self, **_: Any) -> Callable[[Any], Any]:
        return lambda _: self

    def options(self, **_: Any) -> Any:
        outer = self

        class Task:
            @staticmethod
            def remote(*_: Any) -> int:
                outer._next += 1
                return outer._next

        return Task

    def wait(self, refs: list[int], **_: Any) -> tuple[list[int], list[int]]:
        return refs[:1], refs[1:]

    def get(self, _: int) -> dict[str, Any]:
        return {"ok": True, "node": "n", "input_bytes": UNIT, "peak_unreclaimable": MIB, "seconds": 1.0}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 64.0, "memory": float(1 << 38)}}] * 64

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4096.0}


def hand_out(folder: Path, asked: argparse.Namespace) -> str:
    """The loop of `--cluster ray`, 1,000 tasks at a time."""
    from oomguard.preparation.cluster import ray_tasks
    from oomguard.preparation.cluster.api import read_job

    job = read_job(folder / f"{asked.format}.json")
    missing = job.missing()
    state = ray_tasks.ClusterState(units=len(job.units))
    asked_of_ray = ray_tasks.RayOptions(max_rss=1 << 31, tasks=1000)
    words = ("work", "job.json", "--unit")
    tries = deque(ray_tasks._Try(unit, (*words, str(unit)), 1 << 31) for unit in missing)  # noqa: SLF001
    ray_tasks._run(_Ray(), tries, asked_of_ray, state, lambda _: None)  # noqa: SLF001
    return f"{state.done:,} units"


class _Part:
    """A part of numbers: as many documents as 10**7 tokens have."""

    def __init__(self, unit: int, tokens: int) -> None:
        from oomguard.preparation.cluster.parts import Segment
        from oomguard.preparation.writing.token_sink import Totals

        self._unit, self._tokens, self._documents = unit, tokens, tokens // DOCUMENT
        count = Totals(tokens=tokens, documents=self._documents, input_bytes=UNIT)
        self.segments = (Segment(split=None, tokens=tokens, ends=self._documents, count=count),)

    def ends(self, _: int) -> Iterator[Any]:
        import numpy as np

        chance = np.random.default_rng(self._unit)
        yield np.sort(chance.integers(0, self._tokens, self._documents))


def count(folder: Path, asked: argparse.Namespace) -> str:
    """The first `finish`: all counts added up, all shards planned, the table written; then who needs which part."""
    from contextlib import ExitStack

    from oomguard.preparation.cluster import shard_table
    from oomguard.preparation.cluster.api import read_job
    from oomguard.preparation.settling import settle

    job_file = read_job(folder / f"{asked.format}.json")
    tokens = asked.tokens // asked.units
    shard_table.open_part = lambda *_, unit, **__: _Part(unit, tokens)
    with ExitStack() as stack:
        job, _ = settle(stack, list(job_file.sources), job_file.options, job_file.resolve(), None)
        table = shard_table.shard_table(job_file, job)
    needs = sum(1 for unit in range(len(job_file.units)) for _ in table.needed_by(unit))
    made, of = f"{len(table.shards):,} shards, {table.totals.tokens:,} tokens", f"{table.totals.documents:,} documents"
    return f"{made}, {of}; a part is needed by {needs / len(job_file.units):.2f} shards"


def make_shards(folder: Path, token_format: str) -> None:
    """As if all machines had ended: shards, receipts, and what is left of parts."""
    from oomguard.preparation.cluster.api import read_job
    from oomguard.preparation.cluster.shard_table import read_table
    from oomguard.preparation.resolving import resolve_options
    from oomguard.preparation.writing.shard_check import file_identity

    job = read_job(folder / f"{token_format}.json")
    table = read_table(job.parts / "layout.json", job.sha256)
    resolved = resolve_options(job.options)
    output, layout = resolved.output, resolved.layout
    for shard in table.shards:
        name = output.file_name(layout, shard.split, shard.index)
        header = output.header(layout, shard.tokens)
        path = job.options.out / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.write(header)
            file.truncate(len(header) + shard.tokens * layout.token_bytes)
        about = {"path": name, "split": shard.split, "tokens": shard.tokens, "sha256": "0" * 64}
        receipt = [{"shard": about, "file": file_identity(path.stat())}]
        (job.parts / f"laid-{shard.split}-{shard.index:06d}.json").write_text(json.dumps(receipt))
    for unit in range(len(job.units)):
        job.laid_file(unit).write_text(json.dumps({"job": job.sha256, "counts": []}))


def note(folder: Path, asked: argparse.Namespace) -> str:
    """The last `finish`: the manifest told of all shards, the result written, all that was kept taken away."""
    from oomguard.preparation.cluster.api import finish, read_job

    done = finish(read_job(folder / f"{asked.format}.json"))
    return f"{len(done.shards):,} shards, {done.tokens:,} tokens"


STEPS = {"plan": plan, "hand_out": hand_out, "count": count, "note": note}


def step(name: str, folder: Path, asked: argparse.Namespace) -> tuple[float, int]:
    """Run a step in a process of its own; gives its CPU seconds and its peak."""
    line = [sys.executable, "-m", "benchmarks.cluster_simulation", "--step", name, "--folder", str(folder),
            "--units", str(asked.units), "--tokens", str(asked.tokens), "--format", asked.format]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    said = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{asked.format} {name}: {said['cpu']:.1f} CPU seconds, {time.monotonic() - began:.0f} s, "
        f"peak {said['peak'] / MIB:.0f} MiB; {said['what']}",
        flush=True,
    )
    return said["cpu"], said["peak"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--tokens", type=int, default=10**12)
    parser.add_argument("--format", default="npy")
    parser.add_argument("--work", type=Path, default=None, help="a folder to work in, on the disk")
    parser.add_argument("--step", choices=tuple(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        what = STEPS[asked.step](asked.folder, asked)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = sum(os.times()[:4])
        print(json.dumps({"what": what, "cpu": cpu, "peak": usage.ru_maxrss * 1024}))
        return
    folder = Path(tempfile.mkdtemp(prefix="oomguard-simulation-", dir=asked.work))
    try:
        make_inputs(folder, asked.units)
        total, most = 0.0, 0
        for name in STEPS:
            if name == "note":
                make_shards(folder, "npy")
            cpu, peak = step(name, folder, asked)
            total, most = total + cpu, max(most, peak)
        print(f"in all {total:.0f} CPU seconds, at most {most / MIB:.0f} MiB")
        asked.format = "datatrove"
        step("plan", folder, asked)
        step("count", folder, asked)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
