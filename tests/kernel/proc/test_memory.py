"""Single processes: name, command, kinds of memory, shared pages divided."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oomguard.kernel.proc import ProcessTree
from oomguard.kernel.proc.memory import read_processes
from tests.kernel.other_processes import grown

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
FORKED = """
import os, sys
held = bytearray(b"x") * (40 << 20)
if os.fork() == 0:
    os.setsid()  # leaves the session, not the tree
    print("full", flush=True)
sys.stdin.read()
"""


def test_a_forked_child_shares_and_the_tree_has_both(tmp_path: Path) -> None:
    with grown(tmp_path, program=FORKED) as process:
        pids = ProcessTree(process.pid).pids()
        assert ProcessTree(process.pid, with_root=False).pids() == pids[1:]
        shared, counted_whole = read_processes(pids), read_processes(pids, exact=False)
        assert len(shared) == 2
        assert {each.parent_pid for each in shared} == {os.getpid(), process.pid}
        assert all(each.command[1:] == ("grow.py", "train.txt") for each in shared)
        assert all(18 * MIB < each.unreclaimable < 30 * MIB and each.exact for each in shared)
        assert all(each.unreclaimable > 38 * MIB and not each.exact for each in counted_whole)
        assert all(each.rss >= each.anon + each.file for each in shared)
        assert all(each.peak_rss >= each.rss for each in shared)


def test_those_that_ended_are_left_out() -> None:
    assert read_processes([2**22 + 1]) == []
