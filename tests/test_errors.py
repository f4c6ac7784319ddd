"""Where a feature meets its caller: what the machine refuses is an error with a next step, and a bug stays one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from oomguard.cli.console import status_of
from oomguard.diagnosis.filter import KillFilter, parse_since
from oomguard.errors import BadInput, OomguardError, edge

if TYPE_CHECKING:
    from pathlib import Path


def _fails(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "says", "do"),
    [
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "temporarily unavailable", "ulimit -u"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files", "ulimit -n"),
        (OSError(errno.EIO, os.strerror(errno.EIO), "/disk/file"), "/disk/file", "dmesg"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/proc/self/smaps_rollup"), "smaps_rollup", ""),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/proc/self/stat"), "/proc/self/stat", "mount -t proc"),
        (MemoryError(), "no memory", "ulimit -a"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply", "fewer levels"),
        (UnicodeEncodeError("latin-1", "\u2026", 0, 1, "ordinal not in range"), "latin-1", "C.UTF-8"),
        (subprocess.TimeoutExpired(["mkswap"], 5), "mkswap", "again"),
        (RuntimeError("can't start new thread"), "no thread", "ulimit -u"),
        (SystemError("error return without exception set"), "a part of Python failed", "ulimit -a"),  # numpy, ENOMEM
    ],
)  # fmt: skip
def test_what_the_machine_refuses_is_told(
    error: Exception, says: str, do: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OomguardError) as told:
        edge(_fails)(error)
    assert says in str(told.value)
    assert do in told.value.do
    assert told.value.__cause__ is error
    assert status_of(lambda: _fails(error)) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert says in said
    assert "Traceback" not in said


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyError("x"), RuntimeError("another"), AssertionError()])
def test_a_bug_shows_where_it_is_and_how_to_report_it(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(type(error)) as raised:
        edge(_fails)(error)
    assert raised.value is error
    assert status_of(lambda: _fails(error)) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "_fails" in said
    assert "this is a bug in oomguard" in said


def test_an_error_of_ours_is_what_it_was() -> None:
    mine = BadInput("what", do="this")
    with pytest.raises(BadInput) as raised:
        edge(_fails)(mine)
    assert raised.value is mine


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_that_cannot_show_it_all_is_no_error(encoding: str) -> None:
    command = [sys.executable, "-m", "oomguard", "prepare", "--help"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    code = (
        "import sys, oomguard.cli.app as app\n"
        "app._open_standard_streams()\n"
        "print('\\u2026')\n"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"\\u2026\n")


@pytest.mark.parametrize("text", ["999999999d", "999999999 hours ago"])
def test_a_time_before_all_logs_is_one(text: str) -> None:
    assert parse_since(text) == 0
    assert "1970" in str(KillFilter(since=parse_since(text)))


def test_a_current_folder_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(OomguardError, match="the current folder is gone"):
        edge(os.getcwd)()
