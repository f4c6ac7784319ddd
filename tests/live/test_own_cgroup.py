"""Really limit a process: what happens to a child that enters a budget of 64 MiB on this machine.

The test process itself never moves. Works with cgroup v1 and v2.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.live, pytest.mark.pairs]

MIB = 1 << 20
LIMIT = 64 * MIB

PREAMBLE = """
import gc, json, os, signal, sys, time
from pathlib import Path
from oomguard.supervision.own_budget import MemcgUnavailable, enter_cgroup
from oomguard.kernel.cgroup.directory import find_own_cgroup
MIB = 1 << 20
def say(**facts):
    print(json.dumps(facts), flush=True)
def fill(size):
    return bytearray(b"x") * size
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PREAMBLE + program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def facts_of(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"ended with {process.wait(60)} and said nothing"
    facts = json.loads(line)
    assert isinstance(facts, dict)
    return facts


def run(program: str, *arguments: str) -> tuple[int, dict[str, object]]:
    with start(program, *arguments) as process:
        facts = facts_of(process)
        return process.wait(120), facts


@pytest.fixture(autouse=True)
def test_process_stays_where_it_is() -> Iterator[None]:
    before = Path("/proc/self/cgroup").read_text()
    yield
    assert Path("/proc/self/cgroup").read_text() == before


def test_entered_read_back_and_left() -> None:
    code, facts = run("""
before = Path("/proc/self/cgroup").read_text()
with enter_cgroup(64 * MIB) as budget:
    inside = find_own_cgroup()
    held = fill(20 * MIB)
    say(
        limit=[budget.memory_max, inside.memory_max(), inside.swap_max()],
        accounted=inside.has_swap_accounting(),
        inside=str(inside.path), path=str(budget.path), unreclaimable=budget.unreclaimable(),
        peak=budget.peak_charged(), kills=budget.oom_kills(), caveats=budget.caveats,
    )
assert Path("/proc/self/cgroup").read_text() == before
assert not budget.path.exists()
""")
    assert code == 0
    assert facts["limit"] == [LIMIT, LIMIT, 0 if facts["accounted"] else None]
    assert facts["inside"] == facts["path"]
    unreclaimable, peak = facts["unreclaimable"], facts["peak"]
    assert isinstance(unreclaimable, int)
    assert 20 * MIB <= unreclaimable < 23 * MIB
    assert peak is None or (isinstance(peak, int) and peak >= unreclaimable - MIB)
    assert facts["kills"] in (0, None)


def test_kernel_ends_the_child_that_asks_for_more_and_no_bystander() -> None:
    """The worker dies at the limit; the process that holds the budget sees it, counts it, and goes on."""
    with start("say(pid=os.getpid()); fill(8 * MIB); input()") as bystander:
        facts_of(bystander)
        code, facts = run("""
with enter_cgroup(64 * MIB) as budget:
    Path("/proc/self/oom_score_adj").write_text("0")
    worker = os.fork()
    if worker == 0:
        Path("/proc/self/oom_score_adj").write_text("1000")
        held = [fill(MIB) for _ in range(256)]
        os._exit(0)
    status = os.waitpid(worker, 0)[1]
    say(
        signal=os.WTERMSIG(status), kills=budget.oom_kills(), peak=budget.peak_charged(),
        path=str(budget.path),
    )
""")
        assert code == 0
        assert facts["signal"] == signal.SIGKILL
        assert facts["kills"] == 1
        peak = facts["peak"]
        assert peak is None or (isinstance(peak, int) and 0.95 * LIMIT <= peak <= LIMIT)
        assert not Path(str(facts["path"])).exists()
        assert bystander.poll() is None
        bystander.communicate("\n", timeout=60)
        assert bystander.returncode == 0


def test_budget_of_a_killed_run_is_removed_by_the_next() -> None:
    with start("""
budget = enter_cgroup(64 * MIB)
say(path=str(budget.path), parent=str(budget.path.parent))
held = [fill(MIB) for _ in range(256)]
""") as process:
        facts = facts_of(process)
        assert process.wait(120) == -signal.SIGKILL
    left = Path(str(facts["path"]))
    code, again = run("with enter_cgroup(64 * MIB) as budget:\n    say(parent=str(budget.path.parent))")
    assert (code, again["parent"]) == (0, facts["parent"])
    assert not left.exists()


def test_children_of_children_are_inside_and_shared_pages_count_once() -> None:
    code, facts = run("""
with enter_cgroup(64 * MIB) as budget:
    held = fill(30 * MIB)
    read, write = os.pipe()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os.setsid()
            sum(held[::4096])
            own = fill(2 * MIB)
            os.write(write, b".")
            time.sleep(60)
        children.append(child)
    for _ in children:
        os.read(read, 1)
    say(unreclaimable=budget.unreclaimable(), procs=len((budget.path / "cgroup.procs").read_text().split()))
    for child in children:
        os.kill(child, signal.SIGKILL)  # not waited for: leave() has to
assert not budget.path.exists()
""")
    assert code == 0
    assert facts["procs"] == 4
    unreclaimable = facts["unreclaimable"]
    assert isinstance(unreclaimable, int)
    assert 36 * MIB <= unreclaimable < 46 * MIB


def test_page_cache_is_not_counted_and_does_not_kill(tmp_path: Path) -> None:
    """A file of twice the budget is written and read; the kernel takes its cache back by itself."""
    code, facts = run(
        """
from oomguard.kernel.storage import start_writeback
with enter_cgroup(64 * MIB) as budget:
    held = fill(16 * MIB)
    with open(sys.argv[1], "wb", buffering=0) as file:
        for piece in range(64):
            file.write(held[: 2 * MIB])
            start_writeback(file.fileno(), piece * 2 * MIB, 2 * MIB, wait=piece % 8 == 7)
        stat = budget.path.joinpath("memory.stat").read_text().split()
        dirty = int(stat[stat.index("file_dirty" if "file_dirty" in stat else "total_dirty") + 1])
    with open(sys.argv[1], "rb", buffering=0) as file:
        while file.read(MIB):
            pass
    cache = find_own_cgroup().memory_stat().file
    say(unreclaimable=budget.unreclaimable(), cache=cache, kills=budget.oom_kills(), dirty=dirty)
""",
        str(tmp_path / "file"),
    )
    assert code == 0
    assert facts["kills"] in (0, None)
    cache, unreclaimable, dirty = facts["cache"], facts["unreclaimable"], facts["dirty"]
    assert isinstance(cache, int)
    assert isinstance(unreclaimable, int)
    assert isinstance(dirty, int)
    assert 16 * MIB <= unreclaimable < 20 * MIB
    assert cache > 24 * MIB
    assert dirty < 2 * MIB


def test_memory_in_dev_shm_counts() -> None:
    """tmpfs is in no process's resident memory, and still nothing can reclaim it."""
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK):
        pytest.skip("/dev/shm is not writable here; mount a tmpfs there")
    file = shm / f"oomguard-test-{os.getpid()}"
    try:
        code, facts = run(
            """
with enter_cgroup(64 * MIB) as budget:
    before = budget.unreclaimable()
    Path(sys.argv[1]).write_bytes(bytes(20 * MIB))
    gc.collect()
    say(grown=budget.unreclaimable() - before)
    Path(sys.argv[1]).unlink()
""",
            str(file),
        )
    finally:
        file.unlink(missing_ok=True)
    assert code == 0
    grown = facts["grown"]
    assert isinstance(grown, int)
    assert 19 * MIB < grown < 24 * MIB


def test_budget_within_a_budget_and_nothing_is_left_behind() -> None:
    code, facts = run("""
with enter_cgroup(64 * MIB) as outer:
    with enter_cgroup(128 * MIB) as inner:
        say(limit=inner.memory_max, paths=[str(inner.path), str(outer.path)])
    assert find_own_cgroup().path == outer.path
""")
    assert code == 0
    assert facts["limit"] == LIMIT
    assert isinstance(facts["paths"], list)
    assert not [path for path in facts["paths"] if Path(path).exists()]
