"""Screens adapt to a terminal from 40 columns on; what is pasted stays whole."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from oomguard.cli.showing import screen
from oomguard.profiling.screens import render_profile
from oomguard.text import Command, Rows
from tests.profiling.test_screens import PROFILE
from tests.running import run_oomguard


@cache
def run(*arguments: str, columns: int = 80) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        done = run_oomguard(*arguments, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    return done.stdout


def too_wide(text: str, columns: int, whole: set[str]) -> list[str]:
    """The lines that are too wide, but for those that must stay whole."""
    return [line for line in text.splitlines() if len(line) > columns and line.strip() not in whole]


@pytest.mark.parametrize("columns", [40, 60, 80, 132])
def test_doctor(columns: int) -> None:
    commands = {finding["do"] for finding in json.loads(run("doctor", "--json"))["findings"] if finding["do"]}
    assert too_wide(run("doctor", columns=columns), columns, commands) == []


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_swap_status(columns: int) -> None:
    commands = {"echo Y | sudo tee /sys/module/zswap/parameters/enabled", "sudo $(command -v oomguard) swap remove"}
    assert too_wide(run("swap", "status", columns=columns), columns, commands) == []


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_profile_with_its_chart(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = screen(render_profile(PROFILE))
    source = {line.source.strip() for line in PROFILE.lines}
    commands = {line.strip() for line in shown.splitlines() if "oomguard" in line}
    assert too_wide(shown, columns, source | commands) == []
    assert max(map(len, (line for line in shown.splitlines() if "█" in line))) > columns - 14 or columns > 72
    assert "oomguard run --max-rss 512M prepare /home/u/nanogpt/train.txt\n" in shown


def test_rows_break_between_words_and_never_in_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    long = "oomguard run --max-rss 512M prepare /a/very/long/path/to/the/input/train.txt"
    shown = screen(Rows([("label", "some words, and then some more of them to fill it"), ("", Command(long))]))
    assert shown.splitlines() == [
        "label  some words, and then some more of",
        "       them to fill it",
        f"         {long}",
    ]
