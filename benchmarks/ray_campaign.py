"""The same bytes from a Ray of three nodes as from one core, whatever ends in the middle: `make clusters`.

First `--size` of text, JSON Lines and Parquet, with 1, 2 and 6 tasks at a time. Then `--faults` runs over small inputs,
one of which is a document that is too large for a task's first budget; in each, something else ends at a random moment:

    node      a node of three is taken away
    unit      the process that encodes a unit is killed
    worker    a worker of Ray is killed, with what it started
    driver    the driver is killed with SIGKILL, and started again
    stop      the driver is interrupted with Ctrl-C, and started again

Each run must end within `--patience` seconds and give the sha256 of `oomguard prepare` on one core. What is in Ray's
object store is looked at while the runs go on. Needs Ray (pip install 'oomguard[ray]').

    python -m benchmarks.ray_campaign --size 2GB --faults 20
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.sample import load_documents
from oomguard.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS = ("node", "unit", "worker", "driver", "stop")
STORE, MEMORY = 80_000_000, 2 << 30  # of each node; the store is the smallest that Ray allows
ROWS = 1000  # of a row group
LARGE = 60_000_000  # bytes of the document that is too large for the first budget
SMALL = 9_000_000  # bytes of inputs of the runs with faults


def make_inputs(folder: Path, size: int, *, large: bool = False) -> list[str]:
    """A third of `size` each as text, JSON Lines and Parquet; documents begin with a number, so that all differ."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    chance = random.Random(1)
    documents = load_documents()[1]

    def some() -> Iterator[str]:
        left = size / 3
        while left > 0:
            document = f"{chance.getrandbits(40):x} {chance.choice(documents)}"
            left -= len(document)
            yield document

    with (folder / "a.txt").open("w") as file:
        file.writelines(f"{document}\n\n" for document in some())
    with (folder / "b.jsonl").open("w") as file:
        file.writelines(json.dumps({"text": document}) + "\n" for document in some())
        if large:
            text = " ".join(chance.choices(documents, k=LARGE // (sum(map(len, documents)) // len(documents))))
            file.write(json.dumps({"text": text}) + "\n")
    with pq.ParquetWriter(folder / "c.parquet", pa.schema([("text", pa.string())])) as writer:
        rows: list[str] = []
        for document in some():
            rows.append(document)
            if len(rows) == (ROWS if not large else ROWS // 20):
                writer.write_table(pa.table({"text": rows}))
                rows = []
        writer.write_table(pa.table({"text": rows}))
    return [str(folder / name) for name in ("a.txt", "b.jsonl", "c.parquet")]


def sums(out: Path) -> dict[str, str]:
    """The sha256 of each shard."""
    result = {}
    for path in sorted(out.glob("*.npy")):
        with path.open("rb") as file:
            result[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return result


def command(inputs: list[str], out: Path, shard_tokens: int) -> list[str]:
    return [sys.executable, "-m", "oomguard", "prepare", *inputs, "--out", str(out), "--format", "npy",
            "--shard-tokens", str(shard_tokens)]  # fmt: skip


def alone(inputs: list[str], out: Path, shard_tokens: int) -> tuple[dict[str, str], float]:
    """What one machine with one worker makes, and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command(inputs, out, shard_tokens), "--workers", "1", "--quiet"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sums(out), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class ThreeNodes:
    """A Ray of this process's own, whose nodes can be taken away."""

    def __init__(self) -> None:
        os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0")
        from ray.cluster_utils import Cluster

        self._sizes = {"num_cpus": 2, "object_store_memory": STORE, "memory": MEMORY}
        self.cluster = Cluster(initialize_head=True, head_node_args={**self._sizes, "include_dashboard": False})
        self.extra = [self.cluster.add_node(**self._sizes) for _ in range(2)]
        self.cluster.wait_for_nodes()

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def remove(self) -> None:
        self.cluster.remove_node(self.extra.pop(0))

    def mend(self) -> None:
        while len(self.extra) < 2:
            self.extra.append(self.cluster.add_node(**self._sizes))
        self.cluster.wait_for_nodes()

    def stored(self) -> int:
        """Bytes of objects in the stores of all nodes."""
        import re

        from ray._private.internal_api import memory_summary

        said = memory_summary(self.address, stats_only=True)
        return int(sum(float(each) for each in re.findall(r"Plasma memory usage ([0-9.]+) MiB", said)) * (1 << 20))


def _ours(pattern: tuple[str, ...], mark: str) -> list[int]:
    """Processes of this run whose command line holds all of `pattern`, and whose environment or line names `mark`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
            if all(word in line for word in pattern) and mark in line:
                found.append(int(entry.name))
    return found


def strike(fault: str, nodes: ThreeNodes, driver: subprocess.Popen[str], out: Path, chance: random.Random) -> bool:
    """Do it; False: the driver ended before."""
    until = time.monotonic() + 60
    while time.monotonic() < until and driver.poll() is None:
        if fault == "node":
            nodes.remove()
            return True
        if fault in ("driver", "stop"):
            driver.send_signal(signal.SIGKILL if fault == "driver" else signal.SIGINT)
            return True
        units = _ours(("oomguard", "work", "--unit"), str(out))
        if units:
            victim = chance.choice(units)
            if fault == "worker":
                victim = _worker_above(victim)
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                return True
        time.sleep(0.02)
    return False


def _worker_above(pid: int) -> int:
    """The worker of Ray that started a process, or the process itself where that is gone."""
    at = pid
    with contextlib.suppress(OSError):
        while at > 1:
            if Path(f"/proc/{at}/cmdline").read_bytes().startswith(b"ray::"):
                return at
            at = int(Path(f"/proc/{at}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def run(line: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def with_fault(
    number: int, fault: str, nodes: ThreeNodes, inputs: list[str], out: Path, asked: argparse.Namespace
) -> tuple[str, dict[str, str]]:
    """One run with one fault; gives what the driver said, and the sums."""
    chance = random.Random(number)
    line = [*command(inputs, out, 400_000), "--unit-size", "600K", "--cluster", "ray", "--ray-address", nodes.address,
            "--max-rss", asked.budget, "--tasks", str(chance.choice((2, 3, 6)))]  # fmt: skip
    driver = run(line)
    at = chance.randrange(1, 12)
    until = time.monotonic() + asked.patience
    while len(list((out / ".oomguard/parts").glob("*.part"))) < at and driver.poll() is None:
        if time.monotonic() > until:
            driver.kill()
            return f"hangs before {at} units are done: {driver.communicate()[0][-500:]}", {}
        time.sleep(0.02)
    hit = strike(fault, nodes, driver, out, chance)
    said, note = "", "" if hit else " (it had ended before)"
    try:
        said, _ = driver.communicate(timeout=asked.patience)
        if fault in ("driver", "stop") and hit:
            kept = len(list((out / ".oomguard/parts").glob("*.part")))
            again = run(line)
            driver = again
            said, _ = again.communicate(timeout=asked.patience)
            note = f", {kept} units were kept"
    except subprocess.TimeoutExpired:
        driver.kill()
        return f"hangs: {driver.communicate()[0][-500:]}", {}
    nodes.mend()
    if driver.returncode:
        return f"status {driver.returncode}: {said[-1500:]}", {}
    return note, sums(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="2GB")
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--budget", default="200M", help="of a task, at first")
    parser.add_argument("--patience", type=float, default=600)
    parser.add_argument("--work", type=Path, default=None, help="a folder to work in, on the disk")
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="oomguard-ray-", dir=asked.work))
    wrong = 0
    nodes = ThreeNodes()
    try:
        if parse_size(asked.size):
            wrong += _sizes(nodes, work / "big", parse_size(asked.size))
        wrong += _faults(nodes, work / "small", asked)
    finally:
        nodes.cluster.shutdown()
        shutil.rmtree(work, ignore_errors=True)
    print(f"{wrong} runs differ, failed or hung")
    sys.exit(wrong > 0)


def _sizes(nodes: ThreeNodes, folder: Path, size: int) -> int:
    inputs = make_inputs(folder, size)
    expected, seconds = alone(inputs, folder / "alone", 20_000_000)
    total = sum(Path(name).stat().st_size for name in inputs)
    print(f"{total:,} bytes, {len(expected)} shards; one core: {seconds:.0f} CPU seconds", flush=True)
    shutil.rmtree(folder / "alone")
    wrong = 0
    for tasks in (1, 2, 6):
        out, began = folder / f"out{tasks}", time.monotonic()
        line = [*command(inputs, out, 20_000_000), "--unit-size", "64M", "--cluster", "ray", "--ray-address",
                nodes.address, "--max-rss", "400M", "--tasks", str(tasks)]  # fmt: skip
        driver = run(line)
        most = 0
        while driver.poll() is None:
            with contextlib.suppress(Exception):
                most = max(most, nodes.stored())
            time.sleep(5)
        said = driver.stdout.read() if driver.stdout else ""
        same = driver.returncode == 0 and sums(out) == expected
        wrong += not same
        print(
            f"{tasks} tasks at a time: {'the same' if same else 'DIFFERS ' + said[-2000:]}, "
            f"{time.monotonic() - began:.0f} s, at most {most:,} bytes in the object stores",
            flush=True,
        )
        shutil.rmtree(out)
    return wrong


def _faults(nodes: ThreeNodes, folder: Path, asked: argparse.Namespace) -> int:
    inputs = make_inputs(folder, SMALL, large=True)
    expected, _ = alone(inputs, folder / "alone", 400_000)
    wrong, most = 0, 0
    for number in range(asked.faults):
        fault, out, began = FAULTS[number % len(FAULTS)], folder / f"out{number}", time.monotonic()
        said, got = with_fault(number, fault, nodes, inputs, out, asked)
        same = got == expected
        wrong += not same
        with contextlib.suppress(Exception):
            most = max(most, nodes.stored())
        what = f"the same{said}" if same else f"WRONG: {said}"
        print(f"{number} {fault}: {what}, {time.monotonic() - began:.0f} s", flush=True)
        shutil.rmtree(out, ignore_errors=True)
    print(f"at most {most:,} bytes in the object stores", flush=True)
    return wrong


if __name__ == "__main__":
    main()
