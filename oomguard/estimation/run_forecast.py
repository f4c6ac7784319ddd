"""Short runs of the job itself, how long they are to be, and what they say of the whole run."""

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
from statistics import mean
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, Stopped
from oomguard.kernel.proc.files import ProcessTree, ProcFiles
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STEP = 8  # the longer run takes so many times the text of the shorter
_WHOLE_TEXT = 64 * MIB  # so much is tried whole
_WHOLE_SECONDS = 1.0  # of encoding, as far as it was seen; with what else a run does it takes about twice that
_USUAL_TEXT = 200_000_000  # up to here, planning is to take no more than three seconds
_SECONDS, _SECONDS_OF_LARGE = 0.7, 1.5
_MOST_TEXT = 256 * MIB
_SHARED = 1.3  # times as long as with the CPUs to itself
_SURE_PEAK = 0.149
# Parquet: the parts mix rows of all lengths and have few pages, so that the whole has larger ones, and more at a time.
_PEAK_OF_ROWS, _SURE_PEAK_OF_ROWS = 1.15, 0.44
_LONG_DOCUMENT = 2 * MIB  # the parts may well be without such a one
_SURE_TIME = 0.299
_BESIDE_ENCODING = 1.5  # what a run does takes so many times as long as encoding alone
_NOISE_SECONDS = 0.08  # by which two runs on the same text differ
_PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.02
_STRETCH_SECONDS = 0.25  # much more than the scheduler lets one program run while others wait
_NANOSECONDS = 1_000_000_000


# One short run of the job itself, and what it took.


class CannotTry(Exception):
    """No run could be made; what it says is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRun:
    """A run on a part of the input, or on all of it. Units: bytes."""

    text_bytes: int
    peak: int
    seconds: float  # of the whole command, with the CPUs to itself
    wall_seconds: float = 0.0  # that it took beside what else ran; 0: the same
    tokens: int = 0  # with end-of-text
    documents: int = 0


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


# How long a run would have taken with the CPUs to itself, whatever else ran beside it.


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForecast:
    """The whole run. Units: bytes, seconds."""

    peak: int
    peak_low: int
    peak_high: int
    seconds: float  # with the CPUs to itself, as are its bounds
    seconds_low: float
    seconds_high: float
    seconds_beside_others: float  # with what other programs took of the CPUs while it was tried
    bytes_per_second: float  # once it runs
    start_seconds: float
    tried_whole: bool  # the whole input was run, so that peak and time are of that run


def choose_parts(text_bytes: int, *, bytes_per_second: float) -> list[int]:
    """Give the text of the runs: one with all of it where that is quick, else a short and a longer one."""
    if text_bytes <= min(_WHOLE_TEXT, bytes_per_second * _WHOLE_SECONDS):
        return [text_bytes]
    seconds = _SECONDS if text_bytes <= _USUAL_TEXT else _SECONDS_OF_LARGE
    longer = int(min(text_bytes / 2, bytes_per_second * seconds, _MOST_TEXT))
    return [max(1, longer // STEP), max(1, longer)]


def choose_turns(text_bytes: int, tried: Sequence[ShortRun] = ()) -> int:
    """How often each part is run: a machine's speed drifts by a third from minute to minute.

    Beside other programs the times are less certain: once more, then.
    """
    if text_bytes > _USUAL_TEXT:
        return 3
    return 2 if any(run.wall_seconds > _SHARED * run.seconds for run in tried) else 1


def forecast_run(
    parts: Sequence[Sequence[ShortRun]],
    *,
    text_bytes: int,
    is_whole: bool,
    longest_document: int = 0,
    budget: int = 0,
    rows_differ: bool = False,
    beginnings_only: bool = False,
    encoded_a_second: float = 0.0,
) -> RunForecast:
    """Extrapolate the runs on each part, the shortest first, to all of the text.

    The peak of a run does not grow with its input (docs/memory.md), so that of the parts is that of the whole; but
    with a line or row that is longer than what the parts have, of which no more is sure than that the budget holds.
    Where `beginnings_only` of files of lines could be looked at, there may be one. No run is faster than
    `encoded_a_second`, in bytes of text: where the parts say that, they were disturbed.
    Raises: ValueError without a run (a caller's bug).
    """
    if not parts or not all(parts):
        raise ValueError("no run was made")
    most = max(run.peak for part in parts for run in part)
    peak, peak_high = most, most * (1 + _SURE_PEAK)
    if rows_differ and not is_whole:
        peak, peak_high = round(most * _PEAK_OF_ROWS), most * (1 + _SURE_PEAK_OF_ROWS)
    if not is_whole and (beginnings_only or longest_document > _LONG_DOCUMENT):
        peak_high = max(peak_high, budget)
    longest = _mean_seconds(parts[-1])
    text = parts[-1][0].text_bytes
    spread = max(max(run.seconds for run in part) - min(run.seconds for run in part) for part in parts)
    rate, seconds = text / longest, longest
    if not is_whole:
        rate = _rate(parts[0], parts[-1], encoded_a_second)
        seconds = longest + max(0, text_bytes - text) / rate
    stretched = max(1.0, seconds / longest)
    sure = max(_SURE_TIME, min(0.9, max(_NOISE_SECONDS, spread) * stretched / seconds))
    longer = mean(run.wall_seconds or run.seconds for run in parts[-1]) / longest
    return RunForecast(
        peak=peak,
        peak_low=round(most * (1 - _SURE_PEAK)),
        peak_high=round(peak_high),
        seconds=round(seconds, 2),
        seconds_low=round(seconds * (1 - sure), 2),
        seconds_high=round(seconds * (1 + sure), 2),
        seconds_beside_others=round(seconds * max(1.0, longer), 2),
        bytes_per_second=round(rate),
        start_seconds=round(max(0.0, longest - text / rate), 2),
        tried_whole=is_whole,
    )


def _mean_seconds(runs: Sequence[ShortRun]) -> float:
    """The run that follows is no more likely to be lucky than these."""
    return mean(run.seconds for run in runs)


def _rate(shorter: Sequence[ShortRun], longer: Sequence[ShortRun], encoded_a_second: float) -> float:
    """Bytes of text a second between the runs, which share the time that starting takes."""
    seconds = _mean_seconds(longer) - _mean_seconds(shorter)
    text = longer[0].text_bytes - shorter[0].text_bytes
    if encoded_a_second and text > seconds * encoded_a_second:
        return encoded_a_second / _BESIDE_ENCODING
    if seconds <= 0 or text <= 0:  # disturbed, or parts of hardly different size
        return longer[0].text_bytes / _mean_seconds(longer)
    return text / seconds
