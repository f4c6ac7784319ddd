"""Who was killed for memory in a tree without a cgroup of its own: by the counter where the log cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.supervision.kernel_kills import TreeKills
from tests.kernel.fake_cgroups import FakeKernel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("capture", "file", "line"),
    [
        ("nested-v1", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"),
        ("systemd-v2", "memory.events", "low 0\nhigh 0\nmax 7\noom 7\noom_kill {}\n"),
    ],
)
def test_without_the_log_a_kill_in_the_cgroup_around_is_counted_where_the_job_ended_by_sigkill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capture: str, file: str, line: str
) -> None:
    kernel = FakeKernel(capture, tmp_path, monkeypatch)
    (kernel.own / file).write_text(line.format(3))
    vmstat = kernel.root / "proc/vmstat"
    vmstat.write_text("nr_free_pages 5\noom_kill 10\n")
    kills = TreeKills(kernel.root)
    assert kills.count({5}, ended_by_sigkill=True) == 0  # nothing was killed on the whole machine
    vmstat.write_text("nr_free_pages 5\noom_kill 11\n")
    assert kills.count({5}, ended_by_sigkill=True) == 0  # something was, elsewhere
    (kernel.own / file).write_text(line.format(4))
    assert kills.count({5}, ended_by_sigkill=True) == 1
    assert kills.count({5}, ended_by_sigkill=False) == 0  # a neighbour: the job ended otherwise
