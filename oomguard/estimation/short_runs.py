"""One short run of the job itself, what it took, and how long that would have been with the CPUs to itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, Stopped
from oomguard.estimation.run_forecast import ShortRun
from oomguard.kernel.proc import ProcessTree, ProcFiles
from oomguard.kernel.process import own_command
from oomguard.preparation.options import PrepareOptions
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# How long a run would have taken with the CPUs to itself, whatever else ran beside it.

_STRETCH_SECONDS = 0.25  # much more than the scheduler lets one program run while others wait
_NANOSECONDS = 1_000_000_000


class TimeAlone:
    """Watches a process and its descendants from their start: `look` often, ask for the `seconds` at the end.

    In each stretch of time, what the processes did would take as long as the busiest of them ran, or all of them
    together on all CPUs. What is left is of two kinds: in it some of them waited for a CPU, and that time would not be
    there; or all slept, for the disk or each other, and it would. Kernels without scheduler statistics show no waiting.
    """

    def __init__(
        self, root_pid: int, *, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic, cpus: int = 0
    ) -> None:
        """Watch the tree of `root_pid` by the /proc of `root`."""
        self._proc = ProcFiles(root)
        self._tree = ProcessTree(root_pid, root=root)
        self._cpus = cpus or len(os.sched_getaffinity(0))
        self._clock = clock
        self._began = clock()
        self._seconds = 0.0
        self._times: dict[int, tuple[float, float]] = {}  # of each process: seconds that it ran, that it waited
        self._before: dict[int, tuple[float, float]] = {}  # the same when the stretch began

    def look(self) -> None:
        """Read the times of all processes; what one does behind the last look at it is taken for sleep."""
        for pid in self._tree.pids():
            told = self._proc.read(f"{pid}/schedstat").split()
            if len(told) > 1:
                self._times[pid] = int(told[0]) / _NANOSECONDS, int(told[1]) / _NANOSECONDS
        if self._clock() - self._began >= _STRETCH_SECONDS:
            self._end_stretch()

    def seconds(self) -> float:
        """Up to now."""
        self._end_stretch()
        return self._seconds

    def _end_stretch(self) -> None:
        now = self._clock()
        ran, active = [0.0], [0.0]
        for pid, (run, wait) in self._times.items():
            run_before, wait_before = self._before.get(pid, (0.0, 0.0))
            ran.append(run - run_before)
            active.append(run - run_before + wait - wait_before)
        lasted = now - self._began
        slept = max(0.0, lasted - max(active))
        self._seconds += min(lasted, max(*ran, sum(ran) / self._cpus) + slept)
        self._before = dict(self._times)
        self._began = now


_PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.02


class CannotTry(Exception):
    """No run could be made; what it says is for people."""


def command_of(words: Sequence[str]) -> list[str]:
    """The command line of `oomguard` with these words behind it."""
    return own_command("oomguard.cli.app", *words)


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs command lines of `oomguard` that write to `out`, which is gone after each."""

    out: Path
    out_within: Path  # the same, whatever its name leads to meanwhile
    stop_requested: Callable[[], str | None]

    def run(self, command: Sequence[str], *, instead: dict[str, str]) -> ShortRun:
        """Run it to its end. `instead` has the user's names for those in what it may say."""
        began = time.monotonic()
        with (
            tempfile.TemporaryFile() as said,
            tempfile.TemporaryFile() as wrong,
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=wrong) as child,
        ):
            alone = TimeAlone(child.pid)
            try:
                self._wait(child, began, alone)
            except BaseException:
                _end(child)
                raise
            seconds, wall = alone.seconds(), time.monotonic() - began
            said.seek(0)
            wrong.seek(0)
            result, error = said.read(), wrong.read().decode(errors="replace")
        shutil.rmtree(self.out_within, ignore_errors=True)
        if child.returncode:
            raise _failure(error, instead)
        found = json.loads(result)
        return ShortRun(
            text_bytes=found["input_bytes"], peak=found["peak_unreclaimable"], seconds=round(seconds, 3),
            wall_seconds=round(wall, 3), tokens=found["tokens"], documents=found["documents"],
        )  # fmt: skip

    def _wait(self, child: subprocess.Popen[bytes], began: float, alone: TimeAlone) -> None:
        while child.poll() is None:
            if (name := self.stop_requested()) is not None:
                stopped = Stopped(f"by {name}", do="the same command again; nothing was left behind")
                stopped.exit_status = 128 + signal.Signals[name]
                raise stopped
            if time.monotonic() - began > _PATIENCE_SECONDS:
                raise CannotTry(f"a short run took more than {_PATIENCE_SECONDS:.0f} s")
            alone.look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_POLL_SECONDS)


def _end(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM first, so that it can take down what it made."""
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()


def _failure(error: str, instead: dict[str, str]) -> Exception:
    """What a run said, of the files that the user knows."""
    lines = [line for line in error.splitlines() if line.strip()]
    what = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), "")
    do = next((line.strip().removeprefix("try: ") for line in lines if line.startswith("  try: ")), "")
    is_part = any(path in what for path in instead)
    for path, name in instead.items():
        what, do = (text.replace(path, printable(name)) for text in (what, do))
    if not what:
        return CannotTry(f"a short run failed: {lines[-1] if lines else 'it said nothing'}")
    if is_part:  # places in it are those of the part
        return BadInput(f"prepare would fail, as it does on a part of the input: {what}", do=do)
    return BadInput(what, do=do)


def job_command(
    options: PrepareOptions, max_rss: int | None, inputs: Sequence[str], out: Path, *more: str,
    val: str | None = None, input_format: str | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """The command line of `prepare` with these options: only those that are not the defaults."""
    default = PrepareOptions()
    flags: list[str] = ["--out", str(out)]
    names = (
        "subset", "format", "encoding", "tokenizer", "pattern", "eot_token", "workers", "shard_tokens", "block_size",
        "val_fraction", "name", "separator", "text_field", "input_format", "input_encoding", "eot", "errors",
        "bad_files", "newlines", "verify", "shuffle",
    )  # fmt: skip
    instead = {"val_fraction": val, "input_format": input_format}
    for name in names:
        value = instead.get(name) or getattr(options, name)
        if value != getattr(default, name):
            for one in value if isinstance(value, tuple) else (value,):
                flags += [f"--{name.replace('_', '-')}", str(one)]
    limit = ["run", "--max-rss", f"{max_rss}B"] if max_rss is not None and max_rss % (1 << 20) else None
    if limit is None and max_rss is not None:
        limit = ["run", "--max-rss", f"{max_rss >> 20}M"]
    dashes = ("--",) if any(name.startswith("-") for name in inputs) else ()
    return ("oomguard", *(limit or ()), "prepare", *flags, *more, *dashes, *inputs) if dashes else (
        "oomguard", *(limit or ()), "prepare", *inputs, *flags, *more
    )  # fmt: skip
