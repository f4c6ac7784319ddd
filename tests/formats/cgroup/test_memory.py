"""Memory cgroup files: captures of real machines, and the cases they do not hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.formats.cgroup import (
    CgroupMount,
    MemoryStat,
    parse_cgroup_mounts,
    parse_count,
    parse_limit,
    parse_memory_stat_v1,
    parse_memory_stat_v2,
    parse_proc_cgroup,
    parse_v1_hierarchical_limit,
    path_in_mount,
)

CAPTURES = Path("tests/captures/memcg")

# capture -> (v1 memory cgroup, v2 cgroup, directory of the one that has the memory controller)
PLACES = {
    "nested-v1": ("/sandbox/job1", "/", "/sys/fs/cgroup/memory/sandbox/job1"),
    "systemd-v2": (None, "/system.slice/vm-run.service", "/sys/fs/cgroup/system.slice/vm-run.service"),
    "systemd-scope-v2": (None, "/system.slice/run-1.scope", "/sys/fs/cgroup/system.slice/run-1.scope"),
    "delegated-user-v2": (None, "/system.slice/run-u0.service", "/sys/fs/cgroup/system.slice/run-u0.service"),
    "container-read-only-v2": (None, "/", "/sys/fs/cgroup"),
    "hybrid": (
        "/system.slice/vm-run.service",
        "/system.slice/vm-run.service",
        "/sys/fs/cgroup/memory/system.slice/vm-run.service",
    ),
    "container-bind-v1": ("/docker/0123456789ab", None, "/run/d/with space"),
}


@pytest.mark.parametrize("capture", PLACES)
def test_capture_tells_where_its_process_is(capture: str) -> None:
    v1, v2, directory = PLACES[capture]
    cgroups = parse_proc_cgroup((CAPTURES / capture / "proc/self/cgroup").read_text())
    assert (cgroups.get("memory"), cgroups.get("")) == (v1, v2)
    mounts = parse_cgroup_mounts((CAPTURES / capture / "proc/self/mountinfo").read_text())
    version = 1 if v1 else 2
    mine = [m for m in mounts if m.version == version and (version == 2 or "memory" in m.controllers)]
    assert [path_in_mount(v1 or v2 or "", mount) for mount in mine] == [directory]


def test_read_only_is_told_from_the_mount_and_from_the_file_system() -> None:
    for capture, read_only in (("container-read-only-v2", True), ("systemd-v2", False)):
        mounts = parse_cgroup_mounts((CAPTURES / capture / "proc/self/mountinfo").read_text())
        assert [mount.read_only for mount in mounts] == [read_only], capture
    line = "1 2 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 ro,nsdelegate"
    assert parse_cgroup_mounts(line)[0].read_only


def test_later_mount_hides_what_was_there() -> None:
    line = "1 2 0:3 / /sys/fs/cgroup rw - cgroup2 none rw\n"
    assert len(parse_cgroup_mounts(line)) == 1
    assert parse_cgroup_mounts(line + "2 2 0:4 / /sys/fs/cgroup rw - tmpfs none rw\n") == []


@pytest.mark.parametrize(
    ("cgroup", "root", "expected"),
    [
        ("/a/b", "/", "/m/a/b"),
        ("/", "/", "/m"),
        ("/docker/1f", "/docker/1f", "/m"),
        ("/docker/1f/x", "/docker/1f", "/m/x"),
        ("/docker/1f2", "/docker/1f", None),  # another container whose name starts alike
        ("/", "/docker/1f", None),
        ("/../other", "/", None),  # moved out of the cgroup namespace
        ("/../other", "/..", "/m/other"),  # a mount that was made outside of it
        ("/", "/..", None),
    ],
)
def test_path_in_mount(cgroup: str, root: str, expected: str | None) -> None:
    mount = CgroupMount(mount_point="/m", root=root, version=2, controllers=frozenset(), read_only=False)
    assert path_in_mount(cgroup, mount) == expected


def test_cgroup_names_may_hold_colons_and_be_deleted() -> None:
    assert parse_proc_cgroup("4:cpu,memory:/a:b c\n0::/x (deleted)\nbroken\n") == {
        "cpu": "/a:b c",
        "memory": "/a:b c",
        "": "/x",
    }


def test_v2_stat_of_6_1() -> None:
    text = (CAPTURES / "systemd-scope-v2/sys/fs/cgroup/system.slice/memory.stat").read_text()
    values = dict(line.split() for line in text.splitlines())
    stat = parse_memory_stat_v2(text)
    assert stat.anon == int(values["anon"])
    assert stat.unreclaimable == sum(int(values[key]) for key in ("anon", "shmem", "kernel", "sock")) - int(
        values["slab_reclaimable"]
    )


def test_v2_stat_before_5_18_sums_the_parts_of_kernel_memory() -> None:
    text = (CAPTURES / "memory.stat-5.10-v2").read_text()
    assert "\nkernel " not in text
    # By hand from the capture: kernel_stack 49152 + percpu 0 + slab 394160.
    assert parse_memory_stat_v2(text) == MemoryStat(
        anon=6352896,
        file=16490496,
        shmem=6217728,
        kernel=443312,
        slab_reclaimable=262968,
        sock=0,
        page_faults=8745,
        huge_pages=0,
    )
    assert parse_memory_stat_v2(text).unreclaimable == 6352896 + 6217728 + 49152 + 131192


def test_v2_stat_of_6_12_knows_kernel() -> None:
    text = (CAPTURES / "memory.stat-6.12-v2").read_text()
    stat = parse_memory_stat_v2(text)
    assert f"\nkernel {stat.kernel}\n" in text
    assert None not in (stat.anon, stat.file, stat.shmem, stat.slab_reclaimable, stat.unreclaimable)


def test_v1_stat_reads_the_hierarchical_keys() -> None:
    folder = CAPTURES / "nested-v1/sys/fs/cgroup/memory/sandbox"
    text = (folder / "memory.stat").read_text()
    values = dict(line.split() for line in text.splitlines())
    assert values["rss"] != values["total_rss"]  # else this capture would prove nothing
    kmem = (folder / "memory.kmem.usage_in_bytes").read_text()
    stat = parse_memory_stat_v1(text, kmem)
    assert stat.unreclaimable == int(values["total_rss"]) + int(values["total_shmem"]) + int(kmem)
    assert (stat.slab_reclaimable, stat.sock) == (None, None)


def test_v1_without_kernel_memory_accounting_still_has_a_sum() -> None:
    stat = parse_memory_stat_v1("total_rss 4096\ntotal_cache 8192\n")
    assert (stat.kernel, stat.shmem, stat.unreclaimable) == (None, None, 4096)


def test_nothing_said_is_none_and_not_zero() -> None:
    for stat in (parse_memory_stat_v1(""), parse_memory_stat_v2("")):
        assert stat == MemoryStat(anon=None, file=None, shmem=None, kernel=None, slab_reclaimable=None, sock=None)
        assert stat.unreclaimable is None


def test_page_cache_never_counts() -> None:
    with_cache = parse_memory_stat_v2("anon 100\nfile 5000\nshmem 10\nkernel 30\nslab_reclaimable 20\nsock 1\n")
    assert with_cache.unreclaimable == 100 + 10 + (30 - 20) + 1


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("max\n", None),
        ("9223372036854771712\n", None),  # v1, 4 KiB pages
        ("9223372036854710272\n", None),  # v1, 64 KiB pages
        ("67108864\n", 67108864),
        ("0\n", 0),
        ("", None),
        ("-1\n", None),
        ("9" * 5000, None),
    ],
)
def test_limits(text: str, limit: int | None) -> None:
    assert parse_limit(text) == limit


def test_hidden_limit_of_v1() -> None:
    text = (CAPTURES / "container-bind-v1/run/d/with space/memory.stat").read_text()
    assert parse_v1_hierarchical_limit(text) == 200 << 20  # set above what the container sees
    assert parse_v1_hierarchical_limit("hierarchical_memory_limit 9223372036854771712\n") is None


def test_counts() -> None:
    events = (CAPTURES / "systemd-v2/sys/fs/cgroup/system.slice/memory.events").read_text()
    assert parse_count(events, "oom_kill") == 0
    assert parse_count(events, "no_such_event") is None
    assert parse_count("123\n") == 123
    assert parse_count("") is None


@given(st.text(), st.text())
def test_any_text_is_read_without_an_error(text: str, kmem: str) -> None:
    parse_proc_cgroup(text)
    parse_cgroup_mounts(text)
    parse_limit(text)
    parse_count(text, "anon")
    parse_memory_stat_v1(text, kmem)
    parse_memory_stat_v2(text)
