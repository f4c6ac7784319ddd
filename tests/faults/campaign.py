"""Each feature under each fault: it ends in time, with a clear error or the right result, and leaves nothing behind.

`make faults` runs as many rounds as asked for, from a seed; `make test` runs a short form. A fault is injected into
oomguard's own processes only (strace lets go of what they execute), at a call that a run without faults makes too.
What comes from outside comes when the run has used a part of the CPU time of one without faults, or has written so
much: a busy machine changes nothing of that. Cgroups are looked for below one of the round's own.

    python -m tests.faults.campaign --rounds 600 --seed 1 [--jobs 2] [--out FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.storage import scratch_folder
from tests.faults.features import FEATURES, GROWS, OOMGUARD, Feature
from tests.faults.left_behind import MARK, cgroups_left, own_cgroups, processes_left, within

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE_SECONDS = 90.0
_CALLS = {
    "fork: EAGAIN": ("clone,clone3,fork,vfork", "EAGAIN"),
    "open: EMFILE": ("openat,pipe2,socket,dup,memfd_create,epoll_create1", "EMFILE"),
    "open: ENFILE": ("openat,pipe2", "ENFILE"),
    "write: ENOSPC": ("write,pwrite64,writev", "ENOSPC"),
    "write: EIO": ("write,pwrite64", "EIO"),
    "sync: EIO": ("fsync,fdatasync", "EIO"),
    "rename: EIO": ("rename,renameat,renameat2,link,linkat", "EIO"),
    "mmap: ENOMEM": ("mmap", "ENOMEM"),
    "read: EIO": ("read,pread64", "EIO"),
}
_SIGNALS = {"SIGHUP": signal.SIGHUP, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGKILL": signal.SIGKILL}
_OTHERS = ["helper stopped, then SIGTERM", "helper killed", "small disk", "disk goes away", "another time namespace"]
FAULTS = [*_CALLS, *_SIGNALS, *_OTHERS]


@dataclass(slots=True)
class Round:
    """What one run with a fault came to."""

    feature: str
    fault: str
    status: int | None = None
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    said: str = ""
    at: str = ""


class Campaign:
    """The inputs of all rounds, what runs without faults make of them, and how many calls they make."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}
        self._cpu_seconds: dict[str, float] = {}
        self.given = folder / "given"
        self._make_inputs()
        self.wanted: dict[str, dict[str, str]] = {}

    def _make_inputs(self) -> None:
        (self.given / "text").mkdir(parents=True)
        chance = random.Random(7)
        words = ["memory", "budget", "kernel", "token", "shard", "page", "cache", "swap", "limit", "the", "of"]
        for number in range(3):
            text = " ".join(chance.choice(words) for _ in range(60_000))
            (self.given / f"text/{number}.txt").write_text(text)
        (self.given / "script.py").write_text("held = []\nfor line in open('text/0.txt'):\n    held.append(line)\n")
        (self.given / "kernel.log").write_text(
            "[  100.0] Out of memory: Killed process 77 (python) total-vm:9000000kB, anon-rss:8000000kB, "
            "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:100kB oom_score_adj:0\n"
        )
        for command in (
            ["prepare", "text", "--out", "done", "--quiet"],
            ["profile", "-o", "r.oomguard", "--", sys.executable, "-c", GROWS],
        ):
            subprocess.run([*OOMGUARD, *command], cwd=self.given, env=self.environment("0"), check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def environment(self, mark: str, temporary: Path | None = None) -> dict[str, str]:
        environment = {**os.environ, MARK: mark, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        environment["TMPDIR"] = str(temporary or self.folder)
        return environment

    def _count(self, feature: Feature, calls: str) -> tuple[int, int]:
        """How often the first process makes these calls: before oomguard's own code begins, and in all."""
        key = (feature.name, calls)
        if key not in self._counts:
            with tempfile.TemporaryDirectory(dir=self.folder) as place:
                work = self.make_work(Path(place))
                trace = Path(place) / "trace"
                subprocess.run(
                    ["strace", "-o", str(trace), "-e", f"trace=openat,{calls}", "-b", "execve", *feature.command],
                    cwd=work, env=self.environment("0"), check=False, timeout=_PATIENCE_SECONDS,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                lines = trace.read_text(errors="replace").splitlines()
            ours = re.compile(r"oomguard/(?:cli|supervision)/(?:__pycache__/)?(?:app|api)\.")
            begins = next(n for n, line in enumerate(lines) if ours.search(line))
            names = set(calls.split(","))
            hits = [n for n, line in enumerate(lines) if line.partition("(")[0] in names]
            self._counts[key] = sum(n <= begins for n in hits), len(hits)
        return self._counts[key]

    def _whole(self, feature: Feature) -> float:
        """The CPU seconds of a run without faults."""
        if feature.name not in self._cpu_seconds:
            with tempfile.TemporaryDirectory(dir=self.folder) as place:
                process = subprocess.Popen(
                    feature.command, cwd=self.make_work(Path(place)), env=self.environment("0"), stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            self._cpu_seconds[feature.name] = used.ru_utime + used.ru_stime
        return self._cpu_seconds[feature.name]

    def make_work(self, place: Path) -> Path:
        work = place / "work"
        shutil.copytree(self.given, work)
        return work

    def run(self, number: int, feature: Feature, fault: str) -> Round:
        """One round."""
        chance = random.Random(f"{self.seed}/{number}")
        done = Round(feature.name, fault)
        mark = f"{os.getpid()}-{number}"
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as place:
            work, temporary = self.make_work(Path(place)), Path(place) / "tmp"
            temporary.mkdir()
            environment = self.environment(mark, temporary)
            before = _listing(work)
            command = self._command(feature, fault, chance, done, Path(place))
            with own_cgroups(mark) as cgroups:
                self._let_it_run(within(cgroups, command), work, environment, feature, fault, chance, done)
                left_cgroups = cgroups_left(cgroups)
            _judge(done, feature, fault)
            if left := processes_left(mark):
                done.wrong.append(f"processes left: {left}")
            if left_cgroups:
                done.wrong.append(f"cgroups left: {left_cgroups}")
            _check_files(done, fault, before, work, temporary)
            if feature.result is not None and "small disk" != fault != "disk goes away":
                self._again(feature, work, environment, done)
        return done

    def _command(self, feature: Feature, fault: str, chance: random.Random, done: Round, place: Path) -> list[str]:
        if fault in _CALLS:
            calls, error = _CALLS[fault]
            first, last = self._count(feature, calls)
            at = chance.randint(first + 1, max(first + 1, last + 2))
            forever = "+" if chance.random() < 0.5 and not fault.startswith(("mmap", "read")) else ""
            done.at = f"{at}{forever} of {last}"
            inject = f"inject={calls}:error={error}:when={at}{forever}"
            return [
                "strace",
                "-f",
                "-b",
                "execve",
                "-o",
                "/dev/null",
                "-e",
                f"trace={calls}",
                "-e",
                inject,
                *feature.command,
            ]
        if fault in ("small disk", "disk goes away"):
            size = chance.choice([100, 300, 600, 1200]) if fault == "small disk" else 100_000
            written = chance.choice([0, 1, 100, 300])  # KiB
            later = f"""(while kill -0 $$ && [ -z "$(ls -A out)" -o "$(du -sk out | cut -f1)" -lt {written} ]
                do sleep 0.01; done; umount -l out converted) 2>/dev/null &""" if fault == "disk goes away" else ""  # fmt: skip
            script = (
                f"mkdir -p out converted; mount -t tmpfs -o size={size}k d out; mount --bind out converted\n{later}\n"
            )
            return ["unshare", "-m", "sh", "-c", f'{script} exec "$@"', "sh", *feature.command]
        if fault == "another time namespace":
            offset = str(chance.choice([1, 1000, 10_000_000]))
            return ["unshare", "-T", "--fork", "--monotonic", offset, "--boottime", offset, *feature.command]
        return feature.command

    def _let_it_run(
        self, command: list[str], work: Path, environment: dict[str, str], feature: Feature, fault: str,
        chance: random.Random, done: Round,
    ) -> None:  # fmt: skip
        began = time.monotonic()
        with tempfile.TemporaryFile(dir=self.folder) as said:
            process = subprocess.Popen(
                command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                process_group=0,
            )  # fmt: skip
            if fault in _SIGNALS or fault.startswith("helper"):
                part = chance.random()
                done.at = f"{part:.0%} of its CPU time"
                _wait_for(process, lambda: _cpu_seconds_of(process.pid) >= part * self._whole(feature))
            if fault in _SIGNALS and process.poll() is None:
                process.send_signal(_SIGNALS[fault])
            elif fault.startswith("helper"):
                _hurt_a_helper(process, fault, chance)
            try:
                done.status = process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                done.wrong.append("did not end in time")
                process.kill()
                process.wait()
            done.seconds = time.monotonic() - began
            said.seek(0)
            done.said = said.read().decode(errors="replace")

    def _again(self, feature: Feature, work: Path, environment: dict[str, str], done: Round) -> None:
        """The same command resumes, to the bytes of a run without faults."""
        assert feature.result is not None
        try:
            again = subprocess.run(
                feature.command, cwd=work, env=environment, capture_output=True, text=True, errors="replace",
                stdin=subprocess.DEVNULL, timeout=_PATIENCE_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            done.wrong.append("the same command again did not end in time")
            return
        if again.returncode and "exists" in again.stderr and feature.name == "convert":
            shutil.rmtree(work / feature.result)
            self._again(feature, work, environment, done)
            return
        if again.returncode:
            done.wrong.append(f"the same command again: {again.returncode}: {again.stderr[-300:]}")
        elif _bytes_of(work / feature.result) != self.result_of(feature):
            done.wrong.append("other bytes than without the fault")

    def result_of(self, feature: Feature) -> dict[str, str]:
        """The bytes that a run without faults makes."""
        if feature.name not in self.wanted:
            with tempfile.TemporaryDirectory(dir=self.folder) as place:
                work = self.make_work(Path(place))
                subprocess.run(feature.command, cwd=work, env=self.environment("0"), check=True, capture_output=True,
                               stdin=subprocess.DEVNULL)  # fmt: skip
                assert feature.result is not None
                self.wanted[feature.name] = _bytes_of(work / feature.result)
        return self.wanted[feature.name]


def _wait_for(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    """Wait until something is so, or the process has ended, or time is up, which is found then."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and not condition() and time.monotonic() < until:
        time.sleep(0.002)


def _hurt_a_helper(process: subprocess.Popen[bytes], fault: str, chance: random.Random) -> None:
    """Kill or stop one of those below it. One that has not executed its program yet is in vfork(): who stops that one
    holds its parent in the kernel, and no program can do anything about it."""
    _wait_for(process, lambda: bool(_descendants(process.pid)))
    pids = _descendants(process.pid)
    if fault != "helper killed":
        _wait_for(process, lambda: _state(process.pid) != "D" and all(_state(pid) != "D" for pid in pids))
        pids = _descendants(process.pid)
    if pids:
        pid = chance.choice(pids)
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(pid, signal.SIGKILL if fault == "helper killed" else signal.SIGSTOP)
        if fault != "helper killed":
            _wait_for(process, lambda: _state(pid) in (None, "T", "Z", "X"))
    if fault != "helper killed" and process.poll() is None:
        process.terminate()


def _state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return None


def _cpu_seconds_of(pid: int) -> float:
    """What a process, those below it, and those that they waited for have used."""
    ticks = 0
    for one in (pid, *_descendants(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text(errors="replace").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _judge(done: Round, feature: Feature, fault: str) -> None:
    allowed = feature.right | feature.failed
    if fault in _SIGNALS or fault.startswith("helper"):
        numbers = [signal.SIGTERM, signal.SIGKILL] if fault.startswith("helper") else [_SIGNALS[fault]]
        allowed |= {status for number in numbers for status in (-number, 128 + number)}
    if fault == "helper killed":
        allowed |= {125, 137, 143}
    if fault.startswith(("write", "read")) and (125 in feature.failed or feature.name == "prepare"):
        allowed |= {137}  # what no kernel does, an error of a pipe, ends a reaper: as if it had been killed
    if "OpenBLAS blas_thread_init" in done.said:
        allowed |= {130}  # numpy's library raises SIGINT where it gets no thread
    if done.status is not None and done.status not in allowed:
        done.wrong.append(f"status {done.status}")
    is_silent = re.search(r"^(error|stopped|warning|ended)", done.said, re.MULTILINE) is None
    could_tell = feature.name != "budget()" and not fault.startswith("write")  # else it could not be written either
    if done.status in feature.failed - feature.right and is_silent and could_tell:
        done.wrong.append("failed without a word")
    if "Traceback" in done.said and "oomguard" in done.said and not _is_of_pythons_start(done.said) and (
        feature.name != "budget()" or "oomguard.errors." not in done.said.strip().splitlines()[-1]
    ):  # fmt: skip
        done.wrong.append("traceback: " + done.said.strip().splitlines()[-1][:200])


def _is_of_pythons_start(said: str) -> bool:
    """Ctrl-C before there is any code of ours that could take it."""
    ran = re.findall(r'^  File "([^"]+)", line [0-9]+, in (.*)$', said, re.MULTILINE)
    ours = [(file, where) for file, where in ran if "oomguard" in file]
    begins = ("oomguard/__init__.py", "oomguard/__main__.py")
    is_start = all(file.endswith(begins) and where == "<module>" for file, where in ours)
    return is_start and said.rstrip().endswith("KeyboardInterrupt")


def _listing(work: Path) -> set[str]:
    return {str(path.relative_to(work)) for path in work.rglob("*")}


def _check_files(done: Round, fault: str, before: set[str], work: Path, temporary: Path) -> None:
    if fault == "SIGKILL" or "killed" in fault or "stopped" in fault:
        return  # what nobody could take away is found by the next run
    if "ENFILE" in fault or "EMFILE" in fault:  # without a descriptor nothing is emptied: the next plan does so
        with scratch_folder(work, ".oomguard-plan-"):
            pass
    new = _listing(work) - before
    left = [name for name in new if name.endswith(".new") or ".oomguard-plan-" in name]
    left += [str(path.name) for path in temporary.iterdir()]
    if left:
        done.wrong.append(f"files left: {sorted(left)[:5]}")


def _bytes_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".oomguard" not in path.parts
    }


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [found for child in children for found in (child, *_descendants(child))]


def is_possible(feature: Feature, fault: str) -> bool:
    """A disk that is small or goes away concerns what writes much."""
    if fault in ("small disk", "disk goes away"):
        return feature.result is not None
    # Signals of a block's own process are its program's business.
    return not (
        feature.name == "budget()" and (fault in _SIGNALS or fault.startswith(("helper", "read", "mmap", "open")))
    )


def pairs(rounds: int, seed: int) -> list[tuple[Feature, str]]:
    """Each feature with each fault, again and again, in an order of chance."""
    table = [(feature, fault) for fault in FAULTS for feature in FEATURES if is_possible(feature, fault)]
    chance = random.Random(seed)
    chosen: list[tuple[Feature, str]] = []
    while len(chosen) < rounds:
        chance.shuffle(table)
        chosen += table
    return chosen[:rounds]


def main() -> int:
    """Run, and say what went wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    until = time.monotonic() + asked.minutes * 60
    done: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="oomguard-faults-", ignore_cleanup_errors=True) as folder:
        campaign = Campaign(Path(folder), asked.seed)

        def one(numbered: tuple[int, tuple[Feature, str]]) -> None:
            number, (feature, fault) = numbered
            if time.monotonic() > until:
                return
            result = campaign.run(number, feature, fault)
            done.append(result)
            if result.wrong:
                print(
                    f"{number}: {result.feature}, {result.fault} at {result.at}: {'; '.join(result.wrong)}", flush=True
                )
            if asked.out:
                line = {"n": number, "feature": feature.name, "fault": fault, "status": result.status,
                        "seconds": round(result.seconds, 2), "at": result.at, "wrong": result.wrong,
                        "said": result.said[-1500:] if result.wrong else ""}  # fmt: skip
                with asked.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")

        with ThreadPoolExecutor(asked.jobs) as pool:
            list(pool.map(one, enumerate(pairs(asked.rounds, asked.seed))))
    wrong = [result for result in done if result.wrong]
    statuses = Counter(result.status for result in done)
    slowest = max((result.seconds for result in done), default=0.0)
    print(f"{len(done)} rounds, {len(wrong)} wrong; slowest {slowest:.0f} s; statuses {dict(statuses)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
