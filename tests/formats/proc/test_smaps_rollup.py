"""smaps_rollup and status: a capture with shared memory in it, and what kernels leave out."""

from __future__ import annotations

from pathlib import Path

from oomguard.formats.proc import parse_smaps_rollup, parse_status_memory
from oomguard.units import KIB, MIB

CAPTURES = Path("tests/captures/smaps_rollup")


def test_shared_memory_counts_by_share() -> None:
    """The capture's process holds 20 MiB alone, and 30 MiB that it shares with one other."""
    rollup = parse_smaps_rollup((CAPTURES / "half-of-shared.txt").read_text())
    assert rollup.pss_anon is not None
    assert rollup.pss_shmem is not None
    assert 20 * MIB <= rollup.pss_anon < 26 * MIB
    assert 15 * MIB <= rollup.pss_shmem < 16 * MIB
    assert rollup.unreclaimable == rollup.pss_anon + rollup.pss_shmem
    status = parse_status_memory((CAPTURES / "half-of-shared-status.txt").read_text())
    assert status.rss_shmem is not None
    assert 30 * MIB <= status.rss_shmem < 31 * MIB
    assert (status.unreclaimable_bound or 0) >= rollup.unreclaimable


def test_swap_counts() -> None:
    rollup = parse_smaps_rollup("Rss: 9 kB\nPss_Anon: 4 kB\nPss_Shmem: 2 kB\nSwapPss: 1 kB\n")
    assert rollup.unreclaimable == 7 * KIB
    assert (
        parse_status_memory("VmRSS:\t9 kB\nRssAnon:\t4 kB\nRssShmem:\t2 kB\nVmSwap:\t1 kB\n").unreclaimable_bound
        == 7 * KIB
    )


def test_what_the_kernel_does_not_say_is_none() -> None:
    before_5_3 = parse_smaps_rollup("Rss: 9 kB\nPss: 5 kB\n")
    assert (before_5_3.pss, before_5_3.unreclaimable) == (5 * KIB, None)
    assert parse_status_memory("Name:\tzombie\nState:\tZ (zombie)\n").unreclaimable_bound is None
    assert parse_status_memory("VmRSS:\t9 kB\n").unreclaimable_bound == 9 * KIB  # before 4.5: no RssAnon
