"""Where a budget cgroup is made, and what is said when it cannot be: captured machines, a model kernel."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from oomguard.errors import NeedsPrivilege
from oomguard.kernel.cgroup.refusals import LimitDidNotStick, MemcgNotPermitted
from oomguard.supervision.own_budget import MemcgUnavailable, OwnCgroup, enter_cgroup

if TYPE_CHECKING:
    from tests.kernel.fake_cgroups import FakeKernel, MakeKernel

MIB = 1 << 20
NAME = f"oomguard-{os.getpid()}"


def enter(kernel: FakeKernel, memory_max: int = 64 * MIB, *, allow_swap: bool = False) -> OwnCgroup:
    return enter_cgroup(memory_max, allow_swap=allow_swap, root=kernel.root)


def whole_tree(kernel: FakeKernel) -> dict[str, str]:
    return {str(path): path.read_text() for path in kernel.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("capture", "kind", "parent"),
    [
        ("nested-v1", "cgroup v1", "/sys/fs/cgroup/memory/sandbox/job1"),
        ("hybrid", "cgroup v1", "/sys/fs/cgroup/memory/system.slice/vm-run.service"),
        ("container-bind-v1", "cgroup v1", "/run/d/with space"),
        ("systemd-v2", "cgroup v2", "/sys/fs/cgroup/system.slice"),  # others are in the own cgroup
        ("systemd-scope-v2", "cgroup v2", "/sys/fs/cgroup/system.slice"),  # alone, but it is systemd's
        ("delegated-user-v2", "cgroup v2", "/sys/fs/cgroup/system.slice/run-u0.service"),  # alone, and ours
        ("container-read-only-v2", "cgroup v2", "/sys/fs/cgroup"),  # had it been writable
    ],
)
def test_budget_is_entered_and_left_without_a_trace(
    kernel_of: MakeKernel, capture: str, kind: str, parent: str
) -> None:
    kernel = kernel_of(capture)
    if capture == "systemd-v2":
        kernel.put_processes(kernel.own, 1, os.getpid())
    before = whole_tree(kernel)
    with enter(kernel) as budget:
        assert (budget.kind, budget.memory_max) == (kind, 64 * MIB)
        assert budget.path == kernel.root / parent.lstrip("/") / NAME
        assert kernel.text(budget.path, "cgroup.procs") == f"{os.getpid()}\n"
        assert (budget.unreclaimable(), budget.peak_charged(), budget.oom_kills()) == (0, 0, 0)
    after = whole_tree(kernel)
    assert not budget.path.exists()
    assert {path: text.split() for path, text in after.items()} == {p: t.split() for p, t in before.items()}
    budget.leave()  # harmless


@pytest.mark.parametrize("capture", ["nested-v1", "systemd-v2"])
@pytest.mark.parametrize("allow_swap", [False, True])
def test_swap_is_closed_unless_allowed(kernel_of: MakeKernel, capture: str, allow_swap: bool) -> None:
    kernel = kernel_of(capture)
    with enter(kernel, allow_swap=allow_swap) as budget:
        file = "memory.swap.max" if budget.kind == "cgroup v2" else "memory.memsw.limit_in_bytes"
        closed = "0" if budget.kind == "cgroup v2" else str(64 * MIB)
        assert (kernel.text(budget.path, file).strip() == closed) is not allow_swap
        assert not any("swap" in caveat for caveat in budget.caveats)


@pytest.mark.parametrize(
    ("capture", "file"),
    [("nested-v1", "memory.memsw.limit_in_bytes"), ("systemd-scope-v2", "memory.swap.max")],
)
def test_missing_swap_accounting_is_a_caveat(kernel_of: MakeKernel, capture: str, file: str) -> None:
    kernel = kernel_of(capture)
    kernel.lacks.add(file)
    with enter(kernel) as budget:
        assert sum("cannot limit swap" in caveat for caveat in budget.caveats) == 1
        if budget.kind == "cgroup v1":
            assert kernel.text(budget.path, "memory.swappiness") == "0\n"
    with enter(kernel, allow_swap=True) as budget:
        assert not any("swap" in caveat for caveat in budget.caveats)


def test_limits_that_are_left_behind_hold_in_the_new_cgroup(kernel_of: MakeKernel) -> None:
    """systemd keeps the scope to itself, so the budget goes beside it; its 300M and soft 250M go along."""
    kernel = kernel_of("systemd-scope-v2")
    with enter(kernel, 1000 * MIB, allow_swap=True) as budget:
        assert budget.path.parent.name == "system.slice"
        assert budget.memory_max == 300 * MIB
        assert kernel.text(budget.path, "memory.high") == f"{250 * MIB}\n"
        assert kernel.text(budget.path, "memory.swap.max") == "0\n"
        beside = [caveat for caveat in budget.caveats if "next to its old cgroup" in caveat]
        assert len(beside) == 1
        assert "/system.slice/run-1.scope" in beside[0]
        assert any("limited to 300 MiB, less than the 1000 MiB" in caveat for caveat in budget.caveats)


def test_lower_limit_of_an_ancestor_is_the_effective_one(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("nested-v1")
    (kernel.own.parent / "memory.limit_in_bytes").write_text(f"{32 * MIB}\n")
    with enter(kernel) as budget:
        assert budget.memory_max == 32 * MIB
        assert any("cgroup /sandbox is limited to 32.0 MiB" in caveat for caveat in budget.caveats)


def test_limit_is_rounded_down_to_pages(kernel_of: MakeKernel) -> None:
    with enter(kernel_of("nested-v1"), 64 * MIB + 1000) as budget:
        assert budget.memory_max == 64 * MIB
        assert not any("limited to" in caveat for caveat in budget.caveats)


def test_inherited_parking_is_switched_off(kernel_of: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """v1 hands oom_kill_disable down, and with it a process that reaches its limit hangs for ever."""
    from tests.kernel import fake_cgroups

    monkeypatch.setitem(fake_cgroups.NEW_V1, "memory.oom_control", "oom_kill_disable 1\nunder_oom 0\n")
    kernel = kernel_of("nested-v1")
    with enter(kernel) as budget:
        assert "oom_kill_disable 0" in kernel.text(budget.path, "memory.oom_control")


def test_budgets_of_killed_runs_are_removed(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("nested-v1")
    alive, empty, used = (kernel.own / f"oomguard-{pid}" for pid in (os.getpid(), 999999991, 999999992))
    alive.mkdir()
    kernel.put_processes(alive)
    empty.mkdir()
    kernel.put_processes(empty)
    used.mkdir()
    kernel.put_processes(used, 4242)  # a child that outlived the run
    (kernel.own / "oomguard-notes").mkdir()
    with enter(kernel) as budget:
        assert budget.path.name == f"{NAME}-2"
        assert not empty.exists()
        assert used.exists()
        assert alive.exists()
    assert (kernel.own / "oomguard-notes").exists()


def test_child_that_is_still_inside_keeps_the_cgroup(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("nested-v1")
    budget = enter(kernel)
    kernel.put_processes(budget.path, os.getpid(), 4242)
    budget.leave()
    assert budget.path.exists()
    assert kernel.text(budget.path, "cgroup.procs") == "4242\n"
    kernel.put_processes(budget.path)
    budget.leave()
    assert not budget.path.exists()


def test_others_that_came_to_rely_on_the_controller_keep_it(kernel_of: MakeKernel) -> None:
    """Switching memory off in our old cgroup would take a neighbour's limit away: then we stay inside."""
    kernel = kernel_of("delegated-user-v2")
    budget = enter(kernel)
    kernel.make_cgroup(kernel.own / "neighbour")
    budget.leave()
    assert (kernel.own / "neighbour/memory.max").exists()
    assert kernel.text(budget.path, "cgroup.procs") == f"{os.getpid()}\n"


def test_systemd_keeps_what_it_did_not_delegate(kernel_of: MakeKernel) -> None:
    """Nothing above hands memory out either: then no place is left, and no setting of systemd's was touched."""
    kernel = kernel_of("systemd-scope-v2")
    for file in kernel.root.rglob("cgroup.subtree_control"):
        file.write_text("cpu pids\n")
    error = refusal(kernel)
    assert "systemd manages it" in str(error)
    assert "-p Delegate=yes" in error.do
    kernel.delegated.add(kernel.own)
    with enter(kernel) as budget:
        assert budget.path.parent == kernel.own


def test_forked_child_does_not_leave_for_its_parent(kernel_of: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_of("nested-v1")
    budget = enter(kernel)
    monkeypatch.setattr(os, "getpid", lambda: 4242)
    budget.leave()
    assert budget.path.exists()


def test_controller_taken_away_is_told_and_not_shown_as_zero(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("systemd-scope-v2")
    budget = enter(kernel)
    (budget.path / "memory.stat").unlink()
    with pytest.raises(MemcgUnavailable, match="limit is gone"):
        budget.unreclaimable()


def deny_all(kernel: FakeKernel, number: int) -> None:
    kernel.denied = dict.fromkeys([kernel.mount, *kernel.mount.rglob("*")], number)


def refusal(kernel: FakeKernel) -> MemcgUnavailable:
    before = whole_tree(kernel)
    with pytest.raises(MemcgUnavailable) as caught:
        enter(kernel, 512 * MIB)
    assert whole_tree(kernel) == before  # nothing has changed
    return caught.value


def test_read_only_cgroupfs_of_a_container(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("container-read-only-v2")
    deny_all(kernel, errno.EROFS)
    error = refusal(kernel)
    assert "read-only" in str(error)
    assert "docker run --memory 512m --memory-swap 512m" in error.do
    assert isinstance(error.__cause__, OSError)


def test_not_permitted_with_and_without_a_user_manager(kernel_of: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_of("systemd-v2")
    kernel.put_processes(kernel.own, 1, os.getpid())
    deny_all(kernel, errno.EACCES)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    error = refusal(kernel)
    assert isinstance(error, MemcgNotPermitted)
    assert isinstance(error, NeedsPrivilege)
    assert error.do.startswith("sudo ")
    (kernel.root / "run/user/1000/systemd").mkdir(parents=True)
    assert refusal(kernel).do == (
        "systemd-run --user --scope -p Delegate=yes -p MemoryMax=512M -p MemorySwapMax=0 oomguard run --max-rss 512M ..."
    )


def test_other_processes_everywhere(kernel_of: MakeKernel) -> None:
    """A container with a writable cgroupfs and a shell beside us: its root may have no limited child."""
    kernel = kernel_of("container-read-only-v2")
    kernel.put_processes(kernel.own, 1, os.getpid())
    error = refusal(kernel)
    assert "other processes" in str(error)
    assert "docker run --memory 512m" in error.do
    (kernel.root / "run/systemd/system").mkdir(parents=True)
    assert "systemd-run --scope -p Delegate=yes" in refusal(kernel).do


@pytest.mark.parametrize("marker", [None, ".dockerenv"])
def test_no_controller(kernel_of: MakeKernel, marker: str | None) -> None:
    kernel = kernel_of("systemd-v2")
    for controllers in kernel.root.rglob("cgroup.controllers"):
        controllers.write_text("cpu io pids\n")
    if marker:
        (kernel.root / marker).touch()
    error = refusal(kernel)
    assert ("docker run" in error.do) is (marker is not None)
    assert ("this container" in str(error)) is (marker is not None)


@pytest.mark.parametrize(
    ("capture", "ignored", "what"),
    [
        ("nested-v1", "memory.limit_in_bytes", "memory limit was set"),
        ("systemd-scope-v2", "memory.max", "memory limit was set"),
        ("systemd-v2", "memory.swap.max", "swap was disabled"),
        ("systemd-v2", "cgroup.procs", "this process was moved"),
    ],
)
def test_setting_that_does_not_stick(kernel_of: MakeKernel, capture: str, ignored: str, what: str) -> None:
    kernel = kernel_of(capture)
    if capture == "systemd-v2":
        kernel.put_processes(kernel.own, 1, os.getpid())
    kernel.ignored.add(ignored)
    error = refusal(kernel)
    assert isinstance(error, LimitDidNotStick)
    assert what in str(error)


def test_less_than_a_page_is_a_callers_bug(kernel_of: MakeKernel) -> None:
    with pytest.raises(ValueError, match="at least a page"):
        enter(kernel_of("nested-v1"), 100)
