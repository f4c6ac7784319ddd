"""Short runs of the job itself, on parts of the input or on all of it, in a folder that is gone afterwards."""

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
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, Stopped
from oomguard.estimation.calibration import ShortRun, choose_turns
from oomguard.estimation.sample_files import write_sample
from oomguard.kernel import safe_files
from oomguard.kernel.process.signals import stoppable
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    names = [path if not path.startswith("-") else f"./{path}" for path in (source.path for source in sources)]
    is_whole = len(sizes) == 1 and sum(map(len, names)) < _LONGEST_COMMAND
    with stoppable(lambda: None) as asked, _scratch(out) as folder:
        runner = _Runner(folder / "out", asked)
        if is_whole:
            return Trial(parts=((runner.run(command(names, runner.out), instead={}),),), is_whole=True)
        commands = []
        instead: dict[str, str] = {}
        for number, size in enumerate(sizes):
            given = folder / str(number)
            given.mkdir()
            made = write_sample(sources, given, fraction=min(1.0, size / text_bytes))
            instead.update({str(path): source.path for path, source in made})
            commands.append(command([str(given)], runner.out))
        # By turns: the time is told from differences.
        turns = [[runner.run(one, instead=instead) for one in commands] for _ in range(choose_turns(text_bytes))]
        return Trial(parts=tuple(zip(*turns, strict=True)), is_whole=False)


@dataclass(frozen=True, slots=True)
class _Runner:
    out: Path
    stop_requested: Callable[[], str | None]

    def run(self, command: Sequence[str], *, instead: dict[str, str]) -> ShortRun:
        """Run it to its end. `instead` has the user's names for those in what it may say."""
        began = time.monotonic()
        with (
            tempfile.TemporaryFile() as said,
            tempfile.TemporaryFile() as wrong,
            subprocess.Popen(
                [sys.executable, "-m", *command], stdin=subprocess.DEVNULL, stdout=said, stderr=wrong
            ) as child,
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
        shutil.rmtree(self.out, ignore_errors=True)
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
def _scratch(out: Path) -> Iterator[Path]:
    """A folder on the disk of the output, locked as long as it is used."""
    parent = next(parent for parent in (out.absolute().parent, *out.absolute().parents) if parent.is_dir())
    _clean(parent)
    try:
        safe_files.check_folder(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        raise CannotTry(f"{printable(str(parent))} cannot be written: {error.strerror}") from error
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    except OSError as error:
        raise CannotTry(error.strerror or str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _clean(parent: Path) -> None:
    """Remove what a killed one left: nobody holds its lock any more."""
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # another plan is at work
        finally:
            os.close(lock)
