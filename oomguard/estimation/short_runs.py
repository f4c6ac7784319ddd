"""One short run of the job itself, and what it took."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, Stopped
from oomguard.estimation.run_forecast import ShortRun
from oomguard.estimation.time_alone import TimeAlone
from oomguard.kernel.process import own_command
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

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
