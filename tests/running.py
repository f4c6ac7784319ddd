"""The command as people start it: a process of its own, in a folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

import oomguard
from tests.warm import run_warm, text_of

_ROOT = str(Path(oomguard.__file__).parents[1])
_PATIENCE_SECONDS = 120
NOWHERE = Path(os.devnull)
START = {"how": "warm"}


def run_oomguard(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, stdin: str | bytes = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command and wait for it.

    In a fork of a process that has imported it, which takes half the time; not where START says otherwise, nor with an
    `env` of its own, some of which is read when Typer is imported.
    """
    given = stdin.encode() if isinstance(stdin, str) else stdin
    if START["how"] == "warm" and env is None:
        return run_warm(arguments, cwd=cwd, env=_environment(None), stdin=given, timeout=_PATIENCE_SECONDS)
    done = subprocess.run(
        [sys.executable, "-m", "oomguard", *arguments],
        cwd=cwd, env=_environment(env), input=given, capture_output=True, timeout=_PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, text_of(done.stdout), text_of(done.stderr))


def changed_program(
    *,
    checkpoint_seconds: float = 10.0,
    piece_bytes: int | None = None,
    learn: int | None = None,
    growth: int | None = None,
) -> str:
    """The command as a text for `python -c`: small pieces and frequent checkpoints let a small text behave as a large one."""
    return f"""
import dataclasses
import oomguard.preparation.api as feature
import oomguard.preparation.memory_needs as needs
from oomguard.cli.app import main

assert feature._CHECKPOINT_SECONDS
feature._CHECKPOINT_SECONDS = {checkpoint_seconds}
plan_budget = needs.plan_budget

def plan(*arguments, **options):
    made = plan_budget(*arguments, **options)
    wanted = dict(piece_bytes={piece_bytes}, learn={learn}, growth={growth})
    return dataclasses.replace(made, **{{name: value for name, value in wanted.items() if value is not None}})

needs.plan_budget = plan
main()
"""


@contextmanager
def started(
    *arguments: str,
    cwd: Path,
    checkpoint_seconds: float = 10.0,
    piece_bytes: int | None = None,
    learn: int | None = None,
    growth: int | None = None,
    stdin: Path = NOWHERE,
) -> Iterator[subprocess.Popen[str]]:
    """Start the command in a process group of its own and go on; at the end of the block nothing of it is left.

    Small pieces and frequent checkpoints let a small text behave as a large one does.
    """
    program = changed_program(
        checkpoint_seconds=checkpoint_seconds, piece_bytes=piece_bytes, learn=learn, growth=growth
    )
    given = stdin.open("rb")
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd, env=_environment(None), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, stdin=given,
    )  # fmt: skip
    given.close()
    with process:
        try:
            yield process
        finally:
            for child in _all_below(process):
                kill_one(child)
            process.kill()


def coordinator_of(process: subprocess.Popen[str]) -> psutil.Process | None:
    """The job itself, below the supervisor, which is `process`, and the reaper. None: it is not there."""
    below = [child for child in _all_below(process) if child.pid != process.pid]
    reapers = {child.pid for child in below if _parent(child) == process.pid}
    return next((child for child in below if _parent(child) in reapers), None)


def job_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The job, which must be there."""
    job = coordinator_of(process)
    assert job is not None, "the job has ended"
    return job


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The helper processes of a job that are alive."""
    job = coordinator_of(process)
    try:
        return [] if job is None else job.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_one(process: psutil.Process) -> None:
    """SIGKILL it, unless it is gone."""
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _all_below(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return -1


def kill_all(process: subprocess.Popen[str]) -> None:
    """SIGKILL a run and its helpers at once, as the kernel or a power cut would."""
    helpers = _all_below(process)
    with suppress(ProcessLookupError):  # it ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    for helper in helpers:
        kill_one(helper)
    process.wait(_PATIENCE_SECONDS)
    psutil.wait_procs(helpers, timeout=_PATIENCE_SECONDS)


def wait_until(condition: Callable[[], object], *, seconds: float = 90.0) -> None:
    """Look again and again, some hundred times a second."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.003)


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": _ROOT, **(more or {})}
