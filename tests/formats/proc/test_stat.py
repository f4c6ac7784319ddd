"""/proc/PID/stat: a name that looks like the end of a name, and lines that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguard.formats.proc import parse_proc_stat

REST = "1 7 7 34816 9 4194560 20183 0 66 0 12 34 0 0 20 0 1 0 4711 3000000 500 18446744073709551615 1 1 0 0\n"


def test_own_stat_is_this_process() -> None:
    stat = parse_proc_stat(Path("/proc/self/stat").read_text())
    assert stat is not None
    assert (stat.pid, stat.parent_pid, stat.process_group) == (os.getpid(), os.getppid(), os.getpgrp())
    assert stat.state == "R"
    assert stat.start_ticks > 0


@pytest.mark.parametrize("name", ["cat", "a) R 1 (b", "", "line\nend", "\udcff\x1b[2J"])
def test_name_may_hold_anything(name: str) -> None:
    stat = parse_proc_stat(f"42 ({name}) D {REST}")
    assert stat is not None
    assert (stat.pid, stat.name, stat.state, stat.parent_pid, stat.session) == (42, name, "D", 1, 7)
    assert (stat.tty, stat.start_ticks) == (34816, 4711)


@pytest.mark.parametrize(
    "text", ["", "42", "42 (cat", "42 (cat) R", "42 (cat) R 1 2 3", f"{'9' * 5000} (cat) R {REST}"]
)
def test_what_is_no_stat_gives_none(text: str) -> None:
    assert parse_proc_stat(text) is None
