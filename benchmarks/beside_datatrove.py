"""oomguard beside datatrove's local executor: tokens per CPU second, memory of a worker, what a killed worker costs.

    python -m benchmarks.beside_datatrove --size 120MB

Both read the same .jsonl files with two workers and write datatrove's format, in the order of the input, with the same
tokenizer; the bytes of the shards are compared. A worker is a process that has started no other: what is above it only
hands out work. The second time a worker is killed with SIGKILL when half of the time
is over; what is not over after three times the undisturbed run (and a minute) is ended, and started again as it is.
`make .venv-bench`, or a folder with an environment that has datatrove in $OOMGUARD_BENCH_VENV.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks import recording
from benchmarks.sample import load_documents
from oomguard.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES, WORKERS = 4, 2
SAMPLE_SECONDS = 0.05
MIB = 1 << 20


@dataclass(slots=True)
class Run:
    """What one start of a program took."""

    seconds: float
    cpu: float
    worker_bytes: int  # the largest PSS of a worker
    all_bytes: int  # PSS of all processes together, at most
    status: int | None  # None: it was ended after all patience


def make_inputs(folder: Path, size: int) -> None:
    folder.mkdir()
    chance, documents = random.Random(1), load_documents()[1]
    for number in range(FILES):
        left = size / FILES
        with (folder / f"{number}.jsonl").open("w") as file:
            while left > 0:
                text = f"{chance.getrandbits(40):x} {chance.choice(documents)}"
                file.write(json.dumps({"text": text, "id": str(number)}) + "\n")
                left -= len(text)


def programs(inputs: Path, out: Path) -> dict[str, list[str]]:
    us = [sys.executable, "-m", "oomguard"]
    python = str(recording.venv(".venv-bench"))
    rival = str(Path(__file__).parent / "rivals/datatrove_files.py")
    return {
        "oomguard": [
            *us, "prepare", str(inputs), "--out", str(out), "--format", "datatrove", "--val-fraction", "0",
            "--workers", str(WORKERS), "--quiet",
        ],
        "datatrove": [python, rival, str(inputs), str(out), str(WORKERS)],
    }  # fmt: skip


def processes(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.Error):
        top = psutil.Process(pid)
        yield top
        yield from top.children(recursive=True)


def run(line: list[str], *, kill_after: float | None = None, patience: float = 1e9) -> Run:
    began, before = time.monotonic(), _cpu_of_ended()
    child = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    pss: dict[int, int] = {}
    cpu: dict[int, float] = {}  # as last seen: not every pool waits for the workers that it ends
    most, killed = 0, False
    status: int | None = None
    while True:
        with suppress(subprocess.TimeoutExpired):
            status = child.wait(SAMPLE_SECONDS)
            break
        now, total = time.monotonic() - began, 0
        workers: dict[int, psutil.Process] = {}
        parents: set[int] = set()
        for process in processes(child.pid):
            with suppress(psutil.Error):
                memory = process.memory_full_info()
                total += memory.pss
                cpu[process.pid] = sum(process.cpu_times()[:2])
                workers[process.pid] = process
                parents.add(process.ppid())
                pss[process.pid] = max(pss.get(process.pid, 0), memory.pss)
        most = max(most, total)
        for pid in parents:
            workers.pop(pid, None)
            pss.pop(pid, None)
        if kill_after is not None and not killed and now > kill_after and workers:
            workers[max(workers, key=lambda pid: cpu[pid])].send_signal(signal.SIGKILL)
            killed = True
        if now > patience:
            for process in reversed(list(processes(child.pid))):
                with suppress(psutil.Error):
                    process.kill()
            child.wait()
            break
    spent = max(sum(cpu.values()), _cpu_of_ended() - before)
    return Run(time.monotonic() - began, spent, max(pss.values(), default=0), most, status)


def _cpu_of_ended() -> float:
    """CPU seconds of all processes below that were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tokens_of(out: Path) -> tuple[int, str]:
    """Tokens in the order of the input, and the sha256 of all: files of datatrove are one a task."""
    digest, size = hashlib.sha256(), 0
    for path in sorted(out.rglob("*.ds")):
        data = path.read_bytes()
        digest.update(data)
        size += len(data)
    return size // 2, digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="120MB")
    parser.add_argument("--work", type=Path, default=None)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="oomguard-beside-", dir=asked.work))
    inputs = folder / "in"
    make_inputs(inputs, parse_size(asked.size))
    answers = {}
    print("| | tokens per CPU second | tokens/s | memory of a worker | of all processes | a worker is killed |")
    print("|---|---:|---:|---:|---:|---|")
    try:
        for name in ("oomguard", "datatrove"):
            out = folder / name
            calm = run(programs(inputs, out)[name])
            if calm.status:
                sys.exit(f"{name} ended with status {calm.status}")
            tokens, answers[name] = tokens_of(out)
            hit = killed(name, inputs, folder, calm, answers[name])
            speed = f"{tokens / calm.cpu:,.0f} | {tokens / calm.seconds:,.0f}"
            memory = f"{calm.worker_bytes / MIB:,.0f} MiB | {calm.all_bytes / MIB:,.0f} MiB"
            print(f"| {name} | {speed} | {memory} | {hit} |", flush=True)
        same = len(set(answers.values())) == 1
        print(f"tokens: {'the same' if same else f'DIFFER: {answers}'} ({tokens:,})")
        sys.exit(not same)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def killed(name: str, inputs: Path, folder: Path, calm: Run, expected: str) -> str:
    """What becomes of a run one of whose workers is killed when half of the time is over."""
    out = folder / f"{name}-killed"
    line = programs(inputs, out)[name]
    hit = run(line, kill_after=calm.seconds / 2, patience=3 * calm.seconds + 60)
    same = tokens_of(out)[1] == expected
    if hit.status == 0 and same:
        return f"goes on, the same tokens; {hit.cpu - calm.cpu:+.1f} CPU seconds"
    what = "hangs" if hit.status is None else f"status {hit.status}, {'the same' if same else 'other'} tokens"
    again = run(line, patience=3 * calm.seconds + 60)
    right = "the same" if tokens_of(out)[1] == expected else "OTHER"
    return (
        f"{what}; started again: status {again.status}, {right} tokens, {again.cpu:.1f} CPU seconds "
        f"of {calm.cpu:.1f} are done again"
    )


if __name__ == "__main__":
    main()
