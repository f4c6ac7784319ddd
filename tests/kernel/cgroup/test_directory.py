"""One interface over captured v1 and v2 machines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from oomguard.kernel.cgroup.directory import MemcgDir, find_own_cgroup, find_own_memcg

CAPTURES = Path("tests/captures/memcg").absolute()
MIB = 1 << 20


def own(capture: str) -> MemcgDir:
    found = find_own_memcg(CAPTURES / capture)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("capture", "version", "names"),
    [
        ("nested-v1", 1, ["/sandbox/job1", "/sandbox", "/"]),
        ("hybrid", 1, ["/system.slice/vm-run.service", "/system.slice", "/"]),
        ("container-bind-v1", 1, ["/"]),
        ("systemd-scope-v2", 2, ["/system.slice/run-1.scope", "/system.slice", "/"]),
        ("container-read-only-v2", 2, ["/"]),
    ],
)
def test_own_memcg_and_those_above(capture: str, version: int, names: list[str]) -> None:
    memcg = own(capture)
    assert memcg.version == version
    assert [above.name for above in memcg.ancestors()] == names
    assert all(above.path.is_dir() for above in memcg.ancestors())


def test_v2_cgroup_without_the_controller_is_limited_by_the_one_above(tmp_path: Path) -> None:
    """As where the parent's cgroup.subtree_control has no memory: then the own cgroup has no such files."""
    root = tmp_path / "root"
    shutil.copytree(CAPTURES / "systemd-v2", root)
    for file in (root / "sys/fs/cgroup/system.slice/vm-run.service").glob("memory.*"):
        file.unlink()
    placed, limited_by = find_own_cgroup(root), find_own_memcg(root)
    assert placed is not None
    assert limited_by is not None
    assert (placed.name, limited_by.name) == ("/system.slice/vm-run.service", "/system.slice")


def test_limits_of_v2() -> None:
    scope = own("systemd-scope-v2")
    assert (scope.memory_max(), scope.memory_high(), scope.swap_max()) == (300 * MIB, 250 * MIB, 0)
    assert scope.has_swap_accounting()
    assert (scope.oom_kills(), scope.hidden_memory_max()) == (0, None)
    assert (scope.peak_charged() or 0) > (scope.unreclaimable() or 0) > 0
    slice_, root = scope.ancestors()[1:]
    assert (slice_.memory_max(), slice_.swap_max()) == (None, None)
    assert (root.memory_max(), root.peak_charged(), root.oom_kills()) == (None, None, None)


def test_limits_of_v1() -> None:
    memcg = own("nested-v1")
    assert (memcg.memory_max(), memcg.memory_high(), memcg.swap_max()) == (None, None, None)
    assert memcg.has_swap_accounting()
    assert memcg.oom_kills() == 0
    assert (memcg.peak_charged() or 0) > 0
    assert own("container-bind-v1").hidden_memory_max() == 200 * MIB


def test_v1_swap_is_what_memsw_leaves_above_the_limit(tmp_path: Path) -> None:
    memcg = MemcgDir(tmp_path, 1, tmp_path)
    (tmp_path / "memory.limit_in_bytes").write_text("1000\n")
    assert memcg.swap_max() is None
    for memsw, swap_max in (("1000\n", 0), ("1500\n", 500), ("9223372036854771712\n", None)):
        (tmp_path / "memory.memsw.limit_in_bytes").write_text(memsw)
        assert memcg.swap_max() == swap_max


@pytest.mark.parametrize("missing", ["proc/self/cgroup", "proc/self/mountinfo"])
def test_no_cgroup_to_be_seen(tmp_path: Path, missing: str) -> None:
    shutil.copytree(CAPTURES / "systemd-v2", tmp_path / "root")
    assert find_own_memcg(tmp_path / "root") is not None
    (tmp_path / "root" / missing).unlink()
    assert find_own_memcg(tmp_path / "root") is None


def test_v2_without_a_memory_controller_is_none(tmp_path: Path) -> None:
    """As with cgroup_disable=memory, or the empty v2 tree beside v1."""
    shutil.copytree(CAPTURES / "systemd-v2", tmp_path / "root")
    for controllers in (tmp_path / "root").rglob("cgroup.controllers"):
        controllers.write_text("cpu io pids\n")
    assert find_own_memcg(tmp_path / "root") is None
