"""What a new job may use, on captured machines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from oomguard.errors import NothingFound
from oomguard.formats.cgroup import parse_memory_stat_v2
from oomguard.formats.proc import parse_meminfo
from oomguard.kernel.machine import read_headroom

CAPTURES = Path("tests/captures/memcg").absolute()
MIB = 1 << 20


def machine_available(capture: str) -> int:
    available = parse_meminfo((CAPTURES / capture / "proc/meminfo").read_text()).available
    assert available is not None
    return available


def test_without_limits_the_machine_decides() -> None:
    headroom = read_headroom(CAPTURES / "nested-v1")
    assert headroom.available == headroom.machine_available == machine_available("nested-v1")
    assert headroom.limited_by == "this machine's free memory"


def test_soft_limit_of_the_own_scope_decides_where_it_is_lowest() -> None:
    root = CAPTURES / "systemd-scope-v2"
    used = parse_memory_stat_v2((root / "sys/fs/cgroup/system.slice/run-1.scope/memory.stat").read_text()).unreclaimable
    headroom = read_headroom(root)
    assert headroom.available == 250 * MIB - (used or 0)
    assert headroom.limited_by == "the memory soft limit (memory.high) of cgroup /system.slice/run-1.scope (250 MiB)"
    assert [room.available + (used or 0) for room in headroom.rooms[1:]] == [300 * MIB, 250 * MIB]


def test_container_limit_holds() -> None:
    headroom = read_headroom(CAPTURES / "container-read-only-v2")
    assert 190 * MIB < headroom.available < 200 * MIB
    assert headroom.limited_by == "the memory limit of cgroup / (200 MiB)"


def test_v1_limit_that_the_container_does_not_see() -> None:
    headroom = read_headroom(CAPTURES / "container-bind-v1")
    assert 190 * MIB < headroom.available < 200 * MIB
    assert headroom.limited_by == "a memory limit above the visible cgroups (200 MiB)"


def test_limit_far_above_and_its_other_users_count(tmp_path: Path) -> None:
    """The own cgroup has no limit, its parent has, and a neighbour there uses most of it."""
    root = tmp_path / "root"
    shutil.copytree(CAPTURES / "nested-v1", root)
    above = root / "sys/fs/cgroup/memory/sandbox"
    (above / "memory.limit_in_bytes").write_text(f"{500 * MIB}\n")
    (above / "memory.stat").write_text(f"total_rss {400 * MIB}\ntotal_shmem {MIB}\ntotal_cache {90 * MIB}\n")
    (above / "memory.kmem.usage_in_bytes").write_text(f"{2 * MIB}\n")
    headroom = read_headroom(root)
    assert headroom.available == 97 * MIB
    assert headroom.limited_by == "the memory limit of cgroup /sandbox (500 MiB)"
    (above / "memory.stat").write_text(f"total_rss {600 * MIB}\n")
    assert read_headroom(root).available == 0  # never below nothing


def test_without_meminfo_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NothingFound, match="meminfo"):
        read_headroom(tmp_path)
