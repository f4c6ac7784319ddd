"""Short runs of the job itself, in a folder that is gone afterwards, and what they say of the whole run."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, Stopped
from oomguard.estimation.sample_files import write_sample
from oomguard.kernel.process.signals import stoppable
from oomguard.kernel.scratch import scratch_folder
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from oomguard.preparation.reading.source import Source

_PREFIX = ".oomguard-plan-"
_PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.02
_LONGEST_COMMAND = 500_000  # bytes of arguments, of which Linux takes 2 MB


class CannotTry(Exception):
    """No run could be made; what it says is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The runs, and whether they were on all of the input."""

    parts: tuple[tuple[ShortRun, ...], ...]  # of each part, the shortest first
    is_whole: bool


def try_job(
    sources: Sequence[Source], sizes: Sequence[int], *, text_bytes: int, out: Path,
    command: Callable[[Sequence[str], Path], Sequence[str]],
) -> Trial:  # fmt: skip
    """Do the job on parts of `sizes` bytes of text; `command` gives the command line for inputs and an output folder.

    Raises: BadInput with what a run said of the input; CannotTry; Stopped when a signal ended it. Nothing is left
    behind, and what an earlier one left that was killed is removed.
    """
    is_whole = len(sizes) == 1 and sum(len(source.path) for source in sources) < _LONGEST_COMMAND
    with stoppable(lambda: None) as asked, _scratch(out) as (folder, within):
        runner = _Runner(folder / "out", within / "out", asked)
        if is_whole:
            names = [path if not path.startswith("-") else f"./{path}" for path in (one.path for one in sources)]
            return Trial(parts=((runner.run(command(names, runner.out), instead={}),),), is_whole=True)
        commands = []
        instead: dict[str, str] = {}
        for number, size in enumerate(sizes):
            given = within / str(number)
            given.mkdir()
            made = write_sample(sources, given, fraction=min(1.0, size / text_bytes))
            instead.update({str(folder / str(number) / path.name): source.path for path, source in made})
            commands.append(command([str(folder / str(number))], runner.out))
        # By turns: the time is told from differences.
        turns = [[runner.run(one, instead=instead) for one in commands] for _ in range(choose_turns(text_bytes))]
        return Trial(parts=tuple(zip(*turns, strict=True)), is_whole=False)


@dataclass(frozen=True, slots=True)
class _Runner:
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
            try:
                self._wait(child, began)
            except BaseException:
                _end(child)
                raise
            seconds = time.monotonic() - began
            said.seek(0)
            wrong.seek(0)
            result, error = said.read(), wrong.read().decode(errors="replace")
        shutil.rmtree(self.out_within, ignore_errors=True)
        if child.returncode:
            raise _failure(error, instead)
        found = json.loads(result)
        return ShortRun(
            text_bytes=found["input_bytes"], peak=found["peak_unreclaimable"], seconds=seconds,
            tokens=found["tokens"], documents=found["documents"],
        )  # fmt: skip

    def _wait(self, child: subprocess.Popen[bytes], began: float) -> None:
        while child.poll() is None:
            if (name := self.stop_requested()) is not None:
                stopped = Stopped(f"by {name}", do="the same command again; nothing was left behind")
                stopped.exit_status = 128 + signal.Signals[name]
                raise stopped
            if time.monotonic() - began > _PATIENCE_SECONDS:
                raise CannotTry(f"a short run took more than {_PATIENCE_SECONDS:.0f} s")
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


@contextlib.contextmanager
def _scratch(out: Path) -> Iterator[tuple[Path, Path]]:
    """A folder on the disk of the output, and the same by its descriptor."""
    parent = next(parent for parent in (out.absolute().parent, *out.absolute().parents) if parent.is_dir())
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(scratch_folder(parent, _PREFIX))
        except OSError as error:
            raise CannotTry(f"{printable(str(parent))} cannot be written: {error.strerror}") from error
        try:
            yield made
        except OSError as error:
            raise CannotTry(error.strerror or str(error)) from error


STEP = 8  # the longer run takes so many times the text of the shorter
_WHOLE_TEXT = 64 * MIB  # so much is tried whole
_WHOLE_SECONDS = 1.0  # of encoding, as far as it was seen; with what else a run does it takes about twice that
_USUAL_TEXT = 200_000_000  # up to here, planning is to take no more than three seconds
_SECONDS, _SECONDS_OF_LARGE = 0.7, 1.5
_MOST_TEXT = 256 * MIB
_SURE_PEAK = 0.149
_SURE_PEAK_OF_ROWS = 0.4  # Parquet: a page or group of longer rows than the parts mix is read at once
_LONG_DOCUMENT = 2 * MIB  # the parts may well be without such a one
_SURE_TIME = 0.299
_NOISE_SECONDS = 0.08  # by which two runs on the same text differ


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRun:
    """A run on a part of the input, or on all of it. Units: bytes."""

    text_bytes: int
    peak: int
    seconds: float  # of the whole command
    tokens: int = 0  # with end-of-text
    documents: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForecast:
    """The whole run. Units: bytes, seconds."""

    peak: int
    peak_low: int
    peak_high: int
    seconds: float
    seconds_low: float
    seconds_high: float
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


def choose_turns(text_bytes: int) -> int:
    """How often each part is run: a machine's speed drifts by a third from minute to minute."""
    return 1 if text_bytes <= _USUAL_TEXT else 3


def forecast_run(
    parts: Sequence[Sequence[ShortRun]],
    *,
    text_bytes: int,
    is_whole: bool,
    longest_document: int = 0,
    budget: int = 0,
    rows_differ: bool = False,
) -> RunForecast:
    """Extrapolate the runs on each part, the shortest first, to all of the text.

    The peak of a run does not grow with its input (docs/memory.md), so that of the parts is that of the whole; but
    with a line or row that is longer than what the parts have, of which no more is sure than that the budget holds.
    Raises: ValueError without a run (a caller's bug).
    """
    if not parts or not all(parts):
        raise ValueError("no run was made")
    peak = max(run.peak for part in parts for run in part)
    longest = _mean_seconds(parts[-1])
    text = parts[-1][0].text_bytes
    spread = max(max(run.seconds for run in part) - min(run.seconds for run in part) for part in parts)
    rate, seconds = text / longest, longest
    if not is_whole:
        rate = _rate(parts[0], parts[-1])
        seconds = longest + max(0, text_bytes - text) / rate
    stretched = max(1.0, seconds / longest)
    sure = max(_SURE_TIME, min(0.9, max(_NOISE_SECONDS, spread) * stretched / seconds))
    peak_high = round(peak * (1 + (_SURE_PEAK_OF_ROWS if rows_differ and not is_whole else _SURE_PEAK)))
    if longest_document > _LONG_DOCUMENT and not is_whole:
        peak_high = max(peak_high, budget)
    return RunForecast(
        peak=peak,
        peak_low=round(peak * (1 - _SURE_PEAK)),
        peak_high=peak_high,
        seconds=round(seconds, 2),
        seconds_low=round(seconds * (1 - sure), 2),
        seconds_high=round(seconds * (1 + sure), 2),
        bytes_per_second=round(rate),
        start_seconds=round(max(0.0, longest - text / rate), 2),
        tried_whole=is_whole,
    )


def _mean_seconds(runs: Sequence[ShortRun]) -> float:
    """The run that follows is no more likely to be lucky than these."""
    return mean(run.seconds for run in runs)


def _rate(shorter: Sequence[ShortRun], longer: Sequence[ShortRun]) -> float:
    """Bytes of text a second between the runs, which share the time that starting takes."""
    seconds = _mean_seconds(longer) - _mean_seconds(shorter)
    text = longer[0].text_bytes - shorter[0].text_bytes
    if seconds <= 0 or text <= 0:  # disturbed, or parts of hardly different size
        return longer[0].text_bytes / _mean_seconds(longer)
    return text / seconds
