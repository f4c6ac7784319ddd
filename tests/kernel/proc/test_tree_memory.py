"""Measuring process trees: real small ones against what they allocated, made-up ones for the rest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.proc import memory as tree_memory
from oomguard.kernel.proc.memory import TreeMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

MIB = 1 << 20

# 40 MiB of its own; then two children that share it and a 20 MiB mapping, one of them started by a thread and
# with a child of its own that adds 10 MiB.
TREE = """
import mmap, os, sys, threading, time
own = bytearray(b"x") * (40 << 20)
shared = mmap.mmap(-1, 20 << 20)
shared.write(b"y" * (20 << 20))
def child(grandchild):
    if os.fork() == 0:
        sum(shared[::4096]) and sum(own[::4096])
        if grandchild and os.fork() == 0:
            more = bytearray(b"z") * (10 << 20)
            os.write(1, b".")
            time.sleep(60)
        os.write(1, b".")
        time.sleep(60)
child(False)
thread = threading.Thread(target=child, args=(True,))
thread.start()
os.write(1, b".")
time.sleep(60)
"""


@contextmanager
def running(program: str, ready: int) -> Iterator[int]:
    """Start `program` in a group of its own, wait for `ready` bytes, and end it and its children after."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            for _ in range(ready):
                assert process.stdout.read(1)
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


def test_shared_pages_count_once_when_it_matters() -> None:
    with running(TREE, ready=4) as pid:
        exact = TreeMemory(pid).unreclaimable()
        bound = TreeMemory(pid, exact_above=10_000 * MIB).unreclaimable()
        tree = TreeMemory(pid)
        # 70 MiB, and a few for four interpreters; summed, 40 + 20 count four times.
        assert 70 * MIB < exact < 90 * MIB
        assert bound > 4 * 60 * MIB
        assert tree.summed_rss() >= bound
        assert 60 * MIB < tree.largest_rss() < 90 * MIB


def test_bound_decides_when_to_look_closer(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(TREE, ready=4) as pid:
        bound = TreeMemory(pid, exact_above=10_000 * MIB).unreclaimable()
        slack = 4 * tree_memory._COUNTER_SLACK
        assert TreeMemory(pid, exact_above=bound + 2 * slack + MIB).unreclaimable() > 200 * MIB
        assert TreeMemory(pid, exact_above=bound - MIB).unreclaimable() < 90 * MIB
        monkeypatch.setattr(tree_memory, "_COUNTER_SLACK", 100 * MIB)  # a machine with many CPUs
        assert TreeMemory(pid, exact_above=bound + 2 * slack + MIB).unreclaimable() < 90 * MIB


def test_tree_that_is_gone_holds_nothing() -> None:
    with running("import os; os.write(1, b'.')\nimport time; time.sleep(60)", ready=1) as pid:
        tree = TreeMemory(pid)
        assert tree.unreclaimable() > MIB
    assert (tree.unreclaimable(), tree.largest_rss(), tree.summed_rss()) == (0, 0, 0)


def test_zombie_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        deadline = time.monotonic() + 20
        while "Z" not in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert TreeMemory(process.pid).unreclaimable() == 0


def put_process(root: Path, pid: int, parent: int, files: dict[str, str]) -> None:
    folder = root / "proc" / str(pid)
    (folder / "task" / str(pid)).mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} (a) b) S {parent} {'0 ' * 18}\n")
    for file, text in files.items():
        (folder / file).write_text(text)


def test_kernel_without_children_files_and_a_process_that_may_not_be_read(tmp_path: Path) -> None:
    """One member of the tree runs under another user: its smaps_rollup is refused, its bound counts."""
    put_process(tmp_path, 10, 1, {"status": "RssAnon:\t5 kB\n", "smaps_rollup": "Pss_Anon: 3 kB\n", "statm": "9 8 0"})
    put_process(tmp_path, 11, 10, {"status": "RssAnon:\t7 kB\nRssShmem:\t1 kB\n", "statm": "9 7 0"})
    put_process(tmp_path, 12, 11, {"status": "RssAnon:\t2 kB\n", "smaps_rollup": "Pss_Anon: 1 kB\n"})
    put_process(tmp_path, 13, 1, {"status": "RssAnon:\t1000 kB\n"})  # no part of the tree
    tree = TreeMemory(10, root=tmp_path)
    assert tree.unreclaimable() == (3 + 8 + 1) << 10
    assert TreeMemory(10, exact_above=1 << 40, root=tmp_path).unreclaimable() == (5 + 8 + 2) << 10
    page = os.sysconf("SC_PAGE_SIZE")
    assert (tree.largest_rss(), tree.summed_rss()) == (8 * page, 15 * page)


def test_ring_of_reused_pids_ends(tmp_path: Path) -> None:
    put_process(tmp_path, 10, 11, {"status": "RssAnon:\t5 kB\n"})
    put_process(tmp_path, 11, 10, {"status": "RssAnon:\t6 kB\n"})
    assert TreeMemory(10, exact_above=1 << 40, root=tmp_path).unreclaimable() == 11 << 10
