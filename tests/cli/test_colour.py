"""Verdicts stand out on a terminal, and nowhere else."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import oomguard
from oomguard.cli.console import coloured, wants_colour
from oomguard.cli.showing import screen

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
RED, GREEN, YELLOW = "\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Ascii(io.StringIO):
    encoding = "ascii"


@pytest.mark.parametrize(
    ("line", "colour", "marked"),
    [
        ("killed by  the Linux kernel, out of memory", RED, "killed by"),
        ("stopped  python prepare.py: it reached its budget", RED, "stopped"),
        ("error: there is no file x", RED, "error:"),
        ("fits: needs 92.0 MiB at once (line 24)", GREEN, "fits:"),
        ("fits     no: it needs 3.0 GiB more", RED, "fits     no"),
        ("fits     yes: it leaves 3.0 GiB", GREEN, "fits     yes"),
        ("swap       ! none", YELLOW, "!"),
        ("           ! cgroup /user.slice is may not swap", YELLOW, "!"),
        ("/dev/shm   ! 64.0 MiB", YELLOW, "!"),
    ],
)
def test_a_verdict_is_coloured(line: str, colour: str, marked: str) -> None:
    shown = coloured(line)
    assert f"{colour}{marked}\x1b[0m" in shown
    assert ESCAPE.sub("", shown) == line


@pytest.mark.parametrize(
    "line",
    [
        "",
        "memory       23.5 GiB",
        "    error: indented",
        "process  4711  stopped",
        "what died  on! time",
        "fits in here",
    ],
)
def test_the_rest_stays_as_it_is(line: str) -> None:
    assert coloured(line) == line


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_who_wants_colour(environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(Terminal()) is expected
    assert wants_colour(io.StringIO()) is False


def test_the_stream_that_is_written_to_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """`oomguard run ... 2>log`: standard output is a terminal, and the report goes to a file."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert screen("error: x", to=io.StringIO()) == "error: x"
    assert screen("error: x", to=Terminal()) == f"{RED}error:\x1b[0m x"


def test_a_chart_where_the_locale_has_no_blocks() -> None:
    assert screen("▁▄█", to=Ascii()) == ".:#"


@pytest.mark.parametrize(
    ("environment", "expected"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)], ids=str
)
def test_an_error_on_a_terminal(environment: dict[str, str], expected: bool) -> None:
    ours, theirs = pty.openpty()
    root = str(Path(oomguard.__file__).parents[1])
    with os.fdopen(theirs, "wb") as terminal:
        subprocess.run(
            [sys.executable, "-m", "oomguard", "report", "nowhere"], stdout=terminal, stderr=terminal, check=False,
            env={**os.environ, "PYTHONPATH": root, "TERM": "xterm", **environment},
        )  # fmt: skip
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert ("\x1b[1;31merror:" in shown) is expected
    assert ("\x1b" in shown) is expected
