"""Samples of trees: made-up ones whose truth is known, and real processes against what they allocated."""

from __future__ import annotations

import itertools
import mmap
import time
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.proc import ProcessTree
from oomguard.profiling.high_water import MemcgReading
from oomguard.profiling.sampler import MemorySampler, measure_fill_rate
from tests.kernel.proc.test_tree_memory import TREE, running

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.supervision.model import MemorySample

MIB = 1 << 20


class FakeTree:
    """Processes of a made-up /proc; each has its own pages, and those that it shares with all others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.own: dict[int, int] = {}  # pid -> MiB of its own
        self.forked: dict[int, int] = {}  # pid -> MiB that it has from the first process, which has them too
        self.shmem: dict[int, int] = {}  # pid -> MiB of one mapping, as far as it touched it
        self.faults: dict[int, int] = {}
        self.unreadable: set[int] = set()
        self.exact_looks = 0

    def write(self) -> None:
        for folder in (self.root / "proc").glob("*"):
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        everywhere = max(self.forked.values(), default=0)
        for pid, own in self.own.items():
            folder = self.root / f"proc/{pid}"
            folder.mkdir(parents=True)
            anon, shmem = own + self.forked.get(pid, 0), self.shmem.get(pid, 0)
            folder.joinpath("status").write_text(
                f"Name:\tx\nVmRSS:\t{1024 * (anon + shmem)} kB\nRssAnon:\t{1024 * anon} kB\nRssFile:\t0 kB\n"
                f"RssShmem:\t{1024 * shmem} kB\nVmSwap:\t0 kB\n"
            )
            pages = 256 * (anon + shmem)  # each came by a fault, and was written to since the last time by another
            self.faults[pid] = self.faults.get(pid, 0) + pages
            numbers = ["1"] * 6 + [str(self.faults[pid])] + ["0"] * 13 + [str(pages)] + ["0"] * 30
            folder.joinpath("stat").write_text(f"{pid} (x) S {' '.join(numbers)}\n")
            sharers = sum(1 for size in self.forked.values() if size) or 1
            assert all(size in (0, everywhere) for size in self.forked.values())
            mappers = len(self.shmem) or 1
            pss = 1024 * own + 1024 * self.forked.get(pid, 0) // sharers
            folder.joinpath("smaps_rollup").write_text(
                f"Rss:\t{1024 * anon} kB\nPss:\t{pss} kB\nPss_Anon:\t{pss} kB\n"
                f"Pss_Shmem:\t{1024 * self.all_shmem() // mappers if shmem else 0} kB\nSwapPss:\t0 kB\n"
            )
            if pid in self.unreadable:
                folder.joinpath("smaps_rollup").write_text("")

    def all_shmem(self) -> int:
        return max(self.shmem.values(), default=0)

    @property
    def truth(self) -> int:
        """Each page once."""
        return (sum(self.own.values()) + max(self.forked.values(), default=0) + self.all_shmem()) * MIB


@pytest.fixture
def tree(tmp_path: Path) -> FakeTree:
    return FakeTree(tmp_path)


@pytest.fixture
def dear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact looks take a second each, as of a hundred GB: there is one at the beginning, and then none for a while."""
    cpu = itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: next(cpu))


def sampler_of(tree: FakeTree) -> MemorySampler:
    tree.write()
    return MemorySampler(lambda: list(tree.own), None, began=time.monotonic(), root=tree.root)


def look(sampler: MemorySampler, tree: FakeTree) -> MemorySample:
    tree.write()
    return sampler.look()


def test_shared_pages_count_once(tree: FakeTree) -> None:
    tree.own, tree.forked = {1: 0, 2: 300, 3: 5}, {1: 100, 2: 100, 3: 100}
    sample = look(sampler_of(tree), tree)
    assert sample.exact
    assert 404 * MIB < sample.unreclaimable <= tree.truth == 405 * MIB
    assert sample.summed_rss == 605 * MIB
    assert sample.cache is None and sample.most is None


@pytest.mark.usefixtures("dear")
def test_a_pool_that_forks_between_two_exact_looks_is_no_peak(tree: FakeTree) -> None:
    """Eight forks of a process with 2 GiB hold 2 GiB, whatever the sum of their numbers."""
    tree.own, tree.forked = {1: 0}, {1: 2048}
    sampler = sampler_of(tree)
    assert look(sampler, tree).unreclaimable == tree.truth
    for pid in range(2, 10):
        tree.own[pid], tree.forked[pid] = 0, 2048
        sample = look(sampler, tree)
        assert not sample.exact
        assert sample.unreclaimable == tree.truth
    for pid in range(2, 10):
        tree.own[pid] += 10  # and what they do grow by counts
    assert look(sampler, tree).unreclaimable == tree.truth


@pytest.mark.usefixtures("dear")
def test_what_several_touch_of_one_mapping_is_no_growth(tree: FakeTree) -> None:
    tree.own, tree.shmem = {1: 10, 2: 10, 3: 10}, {1: 1000, 2: 0, 3: 0}
    sampler = sampler_of(tree)
    look(sampler, tree)
    for touched in (400, 1000):
        tree.shmem = {1: 1000, 2: touched, 3: touched}
        assert look(sampler, tree).unreclaimable <= tree.truth + MIB


@pytest.mark.usefixtures("dear")
def test_after_forks_ended_their_parent_still_holds_what_it_holds(tree: FakeTree) -> None:
    tree.own, tree.forked = {1: 0, 2: 0, 3: 0}, {1: 500, 2: 500, 3: 500}
    sampler = sampler_of(tree)
    assert abs(look(sampler, tree).unreclaimable - tree.truth) < MIB
    for pid in (2, 3):
        del tree.own[pid], tree.forked[pid]
        assert look(sampler, tree).unreclaimable == tree.truth


def test_forks_that_write_to_their_parent_s_pages_are_seen(tree: FakeTree) -> None:
    """Python writes to each object that it touches: a fork's pages become its own, and its numbers stay the same."""
    tree.own, tree.forked = {1: 0, 2: 0, 3: 0}, {1: 300, 2: 300, 3: 300}
    sampler = sampler_of(tree)
    for _ in range(3):
        look(sampler, tree)
    tree.own, tree.forked = {1: 0, 2: 300, 3: 300}, {1: 300, 2: 0, 3: 0}
    until = time.monotonic() + 5
    while (sample := look(sampler, tree)).unreclaimable != tree.truth and time.monotonic() < until:
        time.sleep(0.002)
    assert sample.unreclaimable == 900 * MIB


def test_exact_looks_that_tell_nothing_new_become_seldom(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pool at rest, and of one process that grows: then the sum is the truth, as an exact look has shown."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cpu = itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: next(cpu) * 0.02)  # asked before and after a look
    for runs, forked, growth in ((1, {1: 300, 2: 300}, 0), (2, {}, 20)):
        tree.own, tree.forked = {1: 10, 2: 10}, forked
        sampler = sampler_of(tree)
        for _ in range(50):
            now += 2.0
            tree.own[1] += growth
            sample = look(sampler, tree)
            assert sample.exact
            assert abs(sample.unreclaimable - tree.truth) < MIB
        assert next(cpu) * 0.02 / 2 < 0.01 * 100 * runs


def test_who_may_not_be_looked_into_counts_whole(tree: FakeTree) -> None:
    tree.own, tree.forked, tree.unreadable = {1: 0, 2: 50}, {1: 100, 2: 100}, {2}
    assert look(sampler_of(tree), tree).unreclaimable == (50 + 150) * MIB


def test_a_process_that_ends_during_an_exact_look_takes_its_share_along(tree: FakeTree) -> None:
    """What the others share with it is theirs then; the sum of what was read is not the truth."""
    tree.own, tree.forked = {1: 0, 2: 0}, {1: 400, 2: 400}
    sampler = sampler_of(tree)
    tree.write()
    real = sampler._proc.read

    def read(path: str, size: int = 1 << 16) -> str:
        text = real(path, size)
        if path == "1/smaps_rollup" and 2 in tree.own:
            del tree.own[2], tree.forked[2]
            tree.write()
        return text

    sampler._proc.read = read  # type: ignore[method-assign]
    sample = sampler.look()
    assert (sample.unreclaimable, sample.exact) == (400 * MIB, True)
    assert [process.pid for process in sample.processes] == [1]


def test_no_process_is_left(tree: FakeTree) -> None:
    tree.own = {1: 10}
    sampler = sampler_of(tree)
    look(sampler, tree)
    tree.own = {}
    assert look(sampler, tree).unreclaimable == 0


def test_the_small_ones_of_many_are_put_together(tree: FakeTree) -> None:
    tree.own = {pid: pid for pid in range(1, 101)}
    sample = look(sampler_of(tree), tree)
    assert len(sample.processes) == 41
    assert sample.processes[-1].pid == 0
    assert sum(process.anon for process in sample.processes) == sum(range(101)) * MIB
    assert {process.pid for process in sample.processes[:-1]} == set(range(61, 101))


def test_a_cgroup_has_the_sum_and_the_processes_are_read_when_it_changes(tree: FakeTree) -> None:
    tree.own = {1: 10}
    tree.write()
    held = 10 * MIB

    class Clock:
        def read(self) -> MemcgReading:
            return MemcgReading(unreclaimable=held, swap=3, cache=7, charged=11, most=13)

    sampler = MemorySampler(lambda: [1], Clock(), began=time.monotonic(), root=tree.root)  # type: ignore[arg-type]
    first = sampler.look()
    assert (first.unreclaimable, first.cache, first.charged, first.most, first.swap) == (10 * MIB, 7, 11, 13, 3)
    assert first.exact
    assert sampler.look().processes is first.processes
    held = 20 * MIB
    assert sampler.look().processes is not first.processes


def test_a_real_tree_against_what_it_allocated() -> None:
    """40 MiB that two forks share, a mapping of 20 MiB that three processes touch, 10 MiB of a grandchild."""
    with running(TREE, 4) as pid:
        tree = ProcessTree(pid)
        sampler = MemorySampler(tree.pids, None, began=time.monotonic())
        sample = sampler.look()
        assert sample.exact
        assert len(sample.processes) == 4
        own = sum(4 for _ in sample.processes)  # MiB: an interpreter's own pages, as far as they are not shared
        assert 70 * MIB <= sample.unreclaimable <= (70 + 10 + 3 * own) * MIB
        assert sample.summed_rss > 2 * sample.unreclaimable


def test_nothing_fills_memory_faster_than_the_fill_rate() -> None:
    """By the same ways that programs fill it: page by page, in one go, and into huge pages."""
    rate = measure_fill_rate()
    size = 32 * MIB
    for huge in (False, True):
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            if huge:
                memory.madvise(mmap.MADV_HUGEPAGE)
            data = bytes(size)
            began = time.perf_counter()
            memory.write(data)
            assert size / (time.perf_counter() - began) < 1.5 * rate
    assert rate < 1e12


def test_many_put_together_are_not_the_largest_process(tmp_path: Path) -> None:
    tree = FakeTree(tmp_path)
    tree.own = dict.fromkeys(range(100, 160), 10)
    tree.write()
    sample = MemorySampler(lambda: sorted(tree.own), None, began=time.monotonic(), root=tmp_path).look()
    assert sample.largest_process == 10 * MIB
    assert sample.summed_rss == 600 * MIB
