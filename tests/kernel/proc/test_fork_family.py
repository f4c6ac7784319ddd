"""What forked children only share with those they came from: made-up families, where each page is counted by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.proc.memory import ForkFamily, TreeMemory

if TYPE_CHECKING:
    from pathlib import Path

PARENT, RELATIVE, MASTER, CHILD = 20, 21, 10, 30


def put(root: Path, pid: int, parent: int, *, pages: int, share: float, shmem: int = 0, image: str = "python") -> None:
    """A process that maps `pages` KiB of anonymous memory, of which `share` is its own; `shmem` KiB are all its own."""
    folder = root / "proc" / str(pid)
    (folder / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(f"{pid} (a) S {parent} {'0 ' * 18}\n")
    (folder / "auxv").write_text(image)
    (folder / "status").write_text(f"RssAnon:\t{pages} kB\nRssShmem:\t{shmem} kB\nVmSwap:\t0 kB\n")
    (folder / "smaps_rollup").write_text(
        f"Anonymous: {pages} kB\nPss_Anon: {share:.0f} kB\nPss_Shmem: {shmem} kB\nSwapPss: 0 kB\n"
    )


def children_hold(root: Path, family: ForkFamily) -> int:
    memory = TreeMemory(PARENT, with_root=False, without=frozenset(family.pids), root=root)
    return memory.exact(memory.bounds()) - family.shared_since() >> 10


def test_pages_of_the_parent_are_not_its_childrens_until_they_write(tmp_path: Path) -> None:
    put(tmp_path, 1, 0, pages=10, share=10, image="init")
    put(tmp_path, PARENT, 1, pages=300, share=300)
    family = ForkFamily(PARENT, tmp_path)
    assert family.pids == [PARENT]
    put(tmp_path, CHILD, PARENT, pages=320, share=150 + 20)  # half of the 300, and 20 of its own
    put(tmp_path, PARENT, 1, pages=300, share=150)
    assert children_hold(tmp_path, family) == 20
    put(tmp_path, CHILD, PARENT, pages=320, share=100 + 100 + 20)  # it wrote to 100 of them
    put(tmp_path, PARENT, 1, pages=300, share=100 + 100)
    assert children_hold(tmp_path, family) == 120
    put(tmp_path, PARENT, 1, pages=0, share=0)  # the parent gave all of it back: what is left is the child's
    put(tmp_path, CHILD, PARENT, pages=320, share=320)
    assert children_hold(tmp_path, family) == 320


def test_a_worker_of_a_pool_that_was_there_before_and_its_master(tmp_path: Path) -> None:
    """Master, worker and a sibling share 300, and one process of another program is below them."""
    put(tmp_path, MASTER, 1, pages=300, share=100)
    put(tmp_path, PARENT, MASTER, pages=300, share=100)
    put(tmp_path, RELATIVE, MASTER, pages=300, share=100)
    put(tmp_path, 22, PARENT, pages=70, share=70, image="another program")
    family = ForkFamily(PARENT, tmp_path)
    assert sorted(family.pids) == [MASTER, PARENT, RELATIVE]
    for pid, parent in ((MASTER, 1), (PARENT, MASTER), (RELATIVE, MASTER)):
        put(tmp_path, pid, parent, pages=300, share=75)
    put(tmp_path, CHILD, PARENT, pages=340, share=75 + 40)
    (tmp_path / "proc/22/smaps_rollup").unlink()
    (tmp_path / "proc/22/status").unlink()
    assert children_hold(tmp_path, family) == 40


@pytest.mark.parametrize("gone", ["auxv", "smaps_rollup"])
def test_what_may_not_be_read_counts_rather_than_not(tmp_path: Path, gone: str) -> None:
    put(tmp_path, PARENT, 1, pages=300, share=300)
    (tmp_path / f"proc/{PARENT}/{gone}").unlink()
    family = ForkFamily(PARENT, tmp_path)
    put(tmp_path, CHILD, PARENT, pages=320, share=170)
    assert family.pids == [PARENT]
    assert children_hold(tmp_path, family) == 170
