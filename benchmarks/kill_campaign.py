"""Is nothing lost to kill -9? Runs are killed at random moments, gone on with, and compared: `make kills`.

For each format one undisturbed run gives the sha256 of every shard. Then, until enough kills have hit: start, SIGKILL
one process of the run, two, or all at a random moment, start the same command again (half of these are killed as well)
until one ends, and compare. A run has a supervisor (the process that was started), a reaper, the job itself, workers
and perhaps a stream reader. Without a worker or a reader the run goes on, and its result counts; whatever else is
killed, it ends, and two seconds after its supervisor has ended no process of it may live. After each trial no cgroup of
it may be left. Each start has a random number of CPUs, so that a run begun with one worker goes on with two, and the
other way. A checkpoint every 10 s would let most kills find nothing to go on from, so the runs are
told to make one every 0.5 s (--checkpoint-seconds; 0 leaves it as it is); the output says how many kills found one.

    python -m benchmarks.kill_campaign --size 1GB --kills 50
    python -m benchmarks.kill_campaign --victim supervisor       kills only that one: the others must notice and end
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import corpus, recording
from benchmarks.limits import cgroups_of_runs, pids_marked
from oomguard.units import parse_size

FORMATS = ("nanogpt", "npy", "llmc")
VICTIMS = ("random", "all", "supervisor", "reaper", "job", "worker", "reader_process")
VANISH_SECONDS = 2.0
MOST_PROBLEMS = 3  # then it ends: more of the same teaches nothing

# The same program in every other respect: argv is as `python -m oomguard` would leave it.
WITH_CHECKPOINTS = """
import sys
from oomguard.preparation import api as preparing
from oomguard.cli.app import main
assert preparing._CHECKPOINT_SECONDS > 0, "its name has changed: adapt benchmarks/kill_campaign.py"
preparing._CHECKPOINT_SECONDS = float(sys.argv.pop(1))
main()
"""


@dataclass(slots=True)
class Job:
    """One start of the command. The mark is in the environment of all its processes."""

    child: subprocess.Popen[bytes]
    mark: bytes
    log: Path
    cpus: int

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def start(source: Path, out: Path, token_format: str, asked: argparse.Namespace) -> Job:
    """The command of every trial, first time and again."""
    program = (
        ["-c", WITH_CHECKPOINTS, str(asked.checkpoint_seconds)] if asked.checkpoint_seconds else ["-m", "oomguard"]
    )
    there = sorted(os.sched_getaffinity(0))
    cpus = asked.dice.sample(there, asked.dice.randint(1, len(there)))
    command = ["taskset", "--cpu-list", ",".join(map(str, cpus)), sys.executable, *program]
    command += ["run", "--max-rss", asked.budget, "prepare", str(source), "--out", str(out)]
    command += ["--format", token_format, "--separator", "\n\n", "--quiet", *asked.more]
    command += ["--shard-tokens", str(asked.shard_tokens)] if token_format != "nanogpt" else []
    value = secrets.token_hex(8)
    environment = os.environ | {"OOMGUARD_CAMPAIGN": value}
    log = Path(f"{out}.log")
    with log.open("wb") as file:
        child = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
    asked.started.add(child.pid)
    return Job(child, f"OOMGUARD_CAMPAIGN={value}".encode(), log, len(cpus))


def shards(out: Path) -> dict[str, str]:
    """sha256 of every file of the folder but the program's own state."""
    found = {}
    for path in out.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def has_progress(out: Path) -> bool:
    """Whether the killed run left something to go on from."""
    manifest = out / ".oomguard" / "manifest.jsonl"
    return manifest.exists() and b'"checkpoint"' in manifest.read_bytes()


def roles(job: Job) -> dict[int, str]:
    """What each process of the run is."""
    found = {}
    parents = {}
    for pid in pids_marked(job.mark):
        with contextlib.suppress(OSError, IndexError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            kinds = (name for name in ("worker", "reader_process") if f"engines.{name}".encode() in words)
            found[pid] = "supervisor" if pid == job.child.pid else next(kinds, "")
    reapers = [pid for pid, parent in parents.items() if parent == job.child.pid and not found[pid]]
    for pid, role in found.items():
        found[pid] = role or ("reaper" if pid in reapers else "job")
    return found


def kill(job: Job, victim: str, dice: random.Random) -> list[str]:
    """SIGKILL one process, two, or all, as `victim` says or at random; says which."""
    there = roles(job)
    pids = list(there)
    if victim == "random":
        pids = dice.sample(pids, min(len(pids), dice.choice((1, 1, 1, 2, 2, len(pids)))))
    elif victim != "all":
        pids = [pid for pid in pids if there[pid] == victim][:1]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [there[pid] for pid in pids]


def still_alive(job: Job) -> list[int]:
    """The processes of a run that live two seconds after its first one has ended."""
    deadline = time.monotonic() + VANISH_SECONDS
    while (left := pids_marked(job.mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def trial(
    source: Path, token_format: str, truth: dict[str, str], seconds: float, asked: argparse.Namespace
) -> dict[str, Any]:
    """One folder from the first start to the end, with one kill or more on the way."""
    dice = asked.dice
    result: dict[str, Any] = {
        "format": token_format,
        "kills": 0,
        "moments": [],
        "resumable": 0,
        "cpus": [],
        "processes_left": 0,
        "problem": "",
    }
    with tempfile.TemporaryDirectory(prefix="kill-", dir=recording.DATA) as folder:
        out = Path(folder, "tokens")
        for attempt in range(100):
            job = start(source, out, token_format, asked)
            result["cpus"].append(job.cpus)
            moment = dice.uniform(0.02, seconds) if attempt == 0 or dice.random() < 0.5 else None
            patience = 60 + 20 * seconds
            killed: list[str] = []
            try:
                code = job.child.wait(timeout=patience if moment is None else moment)
            except subprocess.TimeoutExpired:
                killed = kill(job, asked.victim, dice) if moment is not None else []
                try:
                    code = job.child.wait(timeout=patience)
                except subprocess.TimeoutExpired:
                    code = None
            left = still_alive(job)
            result["processes_left"] += len(left)
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if code is None:
                return result | {"problem": f"did not end, {killed or 'nothing'} killed"}
            if killed:
                result["kills"] += 1
                result["resumable"] += has_progress(out)
                result["moments"].append(f"{moment:.2f} s {'+'.join(killed)}")
            if code and not killed:
                return result | {"problem": f"exit {code}: {job.said().strip().rpartition(chr(10))[2]}"}
            if code == 0:
                break
        found = shards(out)
    if found != truth:
        wrong = sorted(name for name in found.keys() | truth.keys() if found.get(name) != truth.get(name))
        return result | {"problem": f"differs: {', '.join(wrong)}"}
    return result


def undisturbed(source: Path, token_format: str, asked: argparse.Namespace) -> tuple[dict[str, str], float]:
    with tempfile.TemporaryDirectory(prefix="kill-", dir=recording.DATA) as folder:
        began = time.monotonic()
        job = start(source, Path(folder, "tokens"), token_format, asked)
        code, seconds = job.child.wait(), time.monotonic() - began
        if code:
            sys.exit(f"error: the undisturbed run of {token_format} ended with {code}\n{job.said()}")
        return shards(Path(folder, "tokens")), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, help="a text with blank lines between documents; default: made text")
    parser.add_argument("--size", type=parse_size, default=parse_size("1GB"))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--format", action="append", choices=FORMATS)
    parser.add_argument("--budget", default="512M")
    parser.add_argument("--shard-tokens", type=int, default=10_000_000)
    parser.add_argument("--checkpoint-seconds", type=float, default=0.5)
    parser.add_argument("--victim", choices=VICTIMS, default="random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("more", nargs="*", help="after --: further options of prepare")
    asked = parser.parse_args()
    asked.dice, asked.started = random.Random(asked.seed), set()
    recording.DATA.mkdir(parents=True, exist_ok=True)
    source = asked.input or recording.DATA / f"text-{asked.size}-1.txt"
    if asked.input is None:
        corpus.make(source, size=asked.size, kind="text", seed=1)
    if shutil.disk_usage(recording.DATA).free < 2 * source.stat().st_size:
        sys.exit(f"error: too little disk in {recording.DATA}\n  try: OOMGUARD_BENCH_DATA=/another/folder")
    truths = {token_format: undisturbed(source, token_format, asked) for token_format in asked.format or FORMATS}
    for token_format, (truth, seconds) in truths.items():
        print(f"{token_format}: undisturbed {seconds:.1f} s, {len(truth)} files", flush=True)
    kills = resumable = bad = turn = others = 0
    while kills < asked.kills and bad < MOST_PROBLEMS:
        token_format = list(truths)[turn % len(truths)]
        result = trial(source, token_format, *truths[token_format], asked)
        turn += 1
        kills += result["kills"]
        resumable += result["resumable"]
        others += bool(result["resumable"]) and len(set(result["cpus"])) > 1
        left = cgroups_of_runs(asked.started)
        good = not (result["problem"] or result["processes_left"] or left)
        bad += not good
        print(
            f"{kills:3} kills; {token_format}: killed {', '.join(result['moments'])}; "
            f"{result['resumable']} with work to go on from; CPUs {', '.join(map(str, result['cpus']))}; "
            f"then {result['problem'] or 'identical'}; "
            f"processes left {result['processes_left']}, cgroups left {len(left)}",
            flush=True,
        )
    print(
        f"{kills} kills in {turn} runs, {resumable} of them with work to go on from, {others} runs with another number "
        "of CPUs then: "
        f"{turn - bad} runs ended identical and left nothing, {bad} did not"
    )
    sys.exit(1 if bad or kills < asked.kills else 0)


if __name__ == "__main__":
    main()
