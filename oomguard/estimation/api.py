"""`oomguard plan`: how to do a preparation job here, measured on the input itself."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import OomguardError, Stopped, WorkerFailed, edge
from oomguard.estimation.baselines import naive_ways
from oomguard.estimation.calibration import ShortRun, choose_sizes, combine_runs, forecast_run
from oomguard.estimation.model import JobPlan
from oomguard.estimation.sample_files import write_sample
from oomguard.kernel import safe_files
from oomguard.kernel.machine.headroom import read_headroom
from oomguard.preparation.api import divide_budget, memory_needs, plan_prepare
from oomguard.preparation.options import PrepareOptions, resolve_options
from oomguard.preparation.reading.corpus_sample import Estimate
from oomguard.preparation.reading.sampling import sample_corpus
from oomguard.preparation.reading.sources import find_inputs
from oomguard.preparation.writing.formats.expectations import expect_no_train_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.engines.memory_sum import BudgetPlan
    from oomguard.preparation.reading.corpus_sample import CorpusSample
    from oomguard.preparation.reading.source import Source

_LAST_RUN_SECONDS = 1.5  # of encoding, as far as it was seen; with what else a run does it takes about twice that
_LEAST_TEXT = 2 << 20  # of a text so small, nothing can be told that it does not tell itself
_MOST_TEXT = 256 << 20  # the last of the short runs
_TURNS = 3  # of the two longer ones
_SCRATCH = ".oomguard-plan-"
_WITHOUT = "oomguard plan --no-calibration ..."
_PATIENCE_SECONDS = 120
_MARGIN = 1 << 20  # of disk: the manifest, headers


@edge
def plan(options: PrepareOptions, *, max_rss: int | None = None, calibrate: bool = True) -> JobPlan:
    """Say how to prepare `options.inputs` here: tokens, disk, workers, peak, time, and what other ways would need.

    It reads a sample, and (`calibrate`) does the job on three small parts of the input, in a folder beside the output
    that is gone afterwards. Raises: OomguardError as `prepare` would; BudgetTooSmall names the least budget.
    """
    resolved = resolve_options(options)
    sources = find_inputs(options.inputs, folder=Path(), exclude=options.out, wanted=resolved.wanted).sources
    corpus = sample_corpus(sources, spec=resolved.spec, text_field=resolved.text_field, separator=resolved.separator)
    prepared = plan_prepare(options, max_rss=max_rss)
    began = time.monotonic()
    division = divide_budget(
        prepared.budget, needs=memory_needs(sources, options=options, resolved=resolved), options=options
    )
    runs, notes = _try(sources, corpus, division, options, max_rss) if calibrate else ((), ())
    room = read_headroom()
    tokens = _with_ends(corpus, sources, options, resolved.eot != "none")
    notes += tuple(
        expect_no_train_shard(resolved.layout, first_is_val=resolved.val_fraction is None, tokens=float(tokens.value))
    )
    return JobPlan(
        prepare=prepared,
        corpus=corpus,
        tokens=tokens,
        disk_needed=tokens.high * resolved.layout.token_bytes + _MARGIN,
        forecast=forecast_run(runs, text_bytes=corpus.text_bytes.value, plan=division) if runs else None,
        tried=runs,
        calibration_seconds=round(time.monotonic() - began, 2),
        naive=tuple(naive_ways(corpus.shape, text_bytes=corpus.text_bytes.value, available=room.available)),
        available=room.available,
        available_limited_by=room.limited_by,
        command=_command(options, max_rss, options.inputs, options.out),
        notes=notes,
    )


def _with_ends(corpus: CorpusSample, sources: Sequence[Source], options: PrepareOptions, ends: bool) -> Estimate:
    """The tokens, with one more for each document's end."""
    undivided = all(source.kind == "text" for source in sources) and not options.separator
    documents = len(sources) if undivided else corpus.documents
    more = documents if ends else 0
    return Estimate(value=corpus.tokens.value + more, low=corpus.tokens.low + more, high=corpus.tokens.high + more)


def _command(
    options: PrepareOptions, max_rss: int | None, inputs: Sequence[str], out: Path, *more: str
) -> tuple[str, ...]:
    """The command line of `prepare` with these options: only those that are not the defaults."""
    default = PrepareOptions()
    flags: list[str] = ["--out", str(out)]
    names = (
        "format",
        "encoding",
        "tokenizer",
        "pattern",
        "eot_token",
        "workers",
        "shard_tokens",
        "block_size",
        "val_fraction",
        "name",
        "separator",
        "text_field",
        "input_format",
    )
    for name in (*names, "eot", "errors", "newlines", "verify"):
        value = getattr(options, name)
        if value != getattr(default, name):
            flags += [f"--{name.replace('_', '-')}", str(value)]
    limit = ["run", "--max-rss", f"{max_rss}B"] if max_rss is not None and max_rss % (1 << 20) else None
    if limit is None and max_rss is not None:
        limit = ["run", "--max-rss", f"{max_rss >> 20}M"]
    return ("oomguard", *(limit or ()), "prepare", *inputs, *flags, *more)


def _try(
    sources: list[Source], corpus: CorpusSample, division: BudgetPlan, options: PrepareOptions, max_rss: int | None
) -> tuple[tuple[ShortRun, ...], tuple[str, ...]]:
    """Do the job on three parts of the input; where that cannot be, say why."""
    text = corpus.text_bytes.value
    if text < _LEAST_TEXT:
        return (), (f"the input is too small to try a part of it ({text:,} bytes of text)",)
    rate = division.workers / corpus.seconds_to_encode if corpus.seconds_to_encode else _MOST_TEXT
    sizes = choose_sizes(min(text, 2 * _MOST_TEXT), bytes_per_second=rate, seconds=_LAST_RUN_SECONDS)
    try:
        with _scratch(options.out) as folder:
            runs = _run_parts(sources, [size / text for size in sizes], folder, options, max_rss)
    except OSError as error:
        return (), (f"no part of the input could be tried: {error.strerror or error}",)
    return runs, ()


@contextlib.contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder on the disk of the output."""
    parent = next(parent for parent in (out.absolute().parent, *out.absolute().parents) if parent.is_dir())
    safe_files.check_folder(parent)
    for left in parent.glob(f"{_SCRATCH}*"):
        if _is_left(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=parent))
    lock = safe_files.create(folder / "lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _ended_by_signals():
            yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    """Whether an earlier plan was killed and left it: nobody holds its lock."""
    try:
        lock = safe_files.open_there(folder / "lock")
    except (OSError, OomguardError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return folder.stat().st_uid == os.geteuid()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end a plan as Ctrl-C does: the run of a part ends, and the parts are taken away."""

    def end(number: int, _: object) -> None:
        stopped = Stopped(f"{signal.Signals(number).name}; the parts that were tried are taken away", do=_WITHOUT)
        stopped.exit_status = 128 + number
        raise stopped

    mine = threading.current_thread() is threading.main_thread()
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if mine and signal.getsignal(n) is signal.SIG_DFL]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_parts(
    sources: list[Source], fractions: Sequence[float], folder: Path, options: PrepareOptions, max_rss: int | None
) -> tuple[ShortRun, ...]:
    """Do the job on three parts, the shortest first. Raises: WorkerFailed with what a run said, if it failed."""
    # The parts have names that say what they are.
    tried = replace(options, val_fraction="0", shard_tokens=options.shard_tokens, input_format="auto")
    commands = []
    for number, fraction in enumerate(fractions):
        given = folder / str(number)
        given.mkdir()
        write_sample(sources, given, fraction=min(1.0, fraction))
        commands.append(_command(tried, max_rss, [str(given)], folder / "out", "--json", "--quiet"))
    shortest, middle, longest = commands
    # By turns: a machine's speed drifts by a third from minute to minute, and the time is told from differences.
    turns = [(_time_run(middle, folder / "out"), _time_run(longest, folder / "out")) for _ in range(_TURNS)]
    return _time_run(shortest, folder / "out"), *map(combine_runs, zip(*turns, strict=True))


def _time_run(command: Sequence[str], out: Path) -> ShortRun:
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
    )
    seconds = time.monotonic() - began
    shutil.rmtree(out, ignore_errors=True)
    if run.returncode:
        first = (run.stderr.strip().splitlines() or ["it said nothing"])[0].removeprefix("error: ")
        raise WorkerFailed(f"a short run on a part of the input failed: {first}", do=_WITHOUT)
    result = json.loads(run.stdout)
    return ShortRun(text_bytes=result["input_bytes"], peak=result["peak_unreclaimable"], seconds=seconds)


__all__ = ["plan"]
