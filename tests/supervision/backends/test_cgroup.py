"""Who holds a job, and what is said of the better ways: each kind of machine, as it was captured, and each refusal."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.cgroup.refusals import LimitDidNotStick, MemcgUnavailable
from oomguard.kernel.model import SUPERVISOR_MEMORY, LimitAbove
from oomguard.supervision.backends.cgroup_setup import open_cgroup
from oomguard.supervision.backends.choose import find_place
from oomguard.supervision.backends.systemd import find_scope_manager
from oomguard.supervision.options import BudgetRequest

if TYPE_CHECKING:
    from oomguard.supervision.backends.cgroup import CgroupBackend
    from oomguard.supervision.options import Choice, Refusal
    from tests.kernel.fake_cgroups import FakeKernel, MakeKernel

MIB = 1 << 20
NAME = f"oomguard-{os.getpid()}"


def open_at(kernel: FakeKernel, budget: int = 64 * MIB, *above: LimitAbove, swap_max: int | None = 0) -> CgroupBackend:
    return open_cgroup(budget, list(above), swap_max=swap_max, root=kernel.root)


def files(kernel: FakeKernel) -> dict[str, list[str]]:
    return {str(path): path.read_text().split() for path in kernel.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("capture", "kind", "parent"),
    [
        ("nested-v1", "cgroup v1", "/sys/fs/cgroup/memory/sandbox/job1"),
        ("hybrid", "cgroup v1", "/sys/fs/cgroup/memory/system.slice/vm-run.service"),
        ("systemd-v2", "cgroup v2", "/sys/fs/cgroup/system.slice"),
        ("delegated-user-v2", "cgroup v2", "/sys/fs/cgroup/system.slice/run-u0.service"),
        ("container-read-only-v2", "cgroup v2", "/sys/fs/cgroup"),  # had it been writable
    ],
)
def test_made_limited_and_removed_without_a_trace_and_we_are_never_inside(
    kernel_of: MakeKernel, capture: str, kind: str, parent: str
) -> None:
    kernel = kernel_of(capture)
    if capture == "systemd-v2":
        kernel.put_processes(kernel.own, 1, os.getpid())
    before = files(kernel)
    job = open_at(kernel)
    path = job.memcg.path
    assert (job.kind, job.limits.budget, path) == (kind, 64 * MIB, kernel.root / parent.lstrip("/") / NAME)
    assert kernel.text(path, "cgroup.procs") == ""
    hard = f"{80 * MIB}\n"  # the budget and the least reserve
    if kind == "cgroup v2":
        limits = [kernel.text(path, f"memory.{name}") for name in ("max", "high", "swap.max", "oom.group")]
        assert limits == [hard, f"{72 * MIB}\n", "0\n", "1\n"]
    else:
        limits = [kernel.text(path, f"memory.{name}.limit_in_bytes".replace("..", ".")) for name in ("", "memsw")]
        assert limits == [hard, hard]
        assert "oom_kill_disable 1" in kernel.text(path, "memory.oom_control")
        assert len(kernel.text(path, "cgroup.event_control").split()) == 2
    job.close()
    assert files(kernel) == before


def test_alone_in_a_delegated_cgroup_it_steps_down_beside_its_job(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("delegated-user-v2")
    job = open_at(kernel)
    assert kernel.text(kernel.own, "cgroup.procs") == ""
    assert kernel.text(kernel.own / f"{NAME}-2", "cgroup.procs") == f"{os.getpid()}\n"
    job.close()
    assert kernel.text(kernel.own, "cgroup.procs") == f"{os.getpid()}\n"


@pytest.mark.parametrize(("capture", "swap_max", "read_back"), [
    ("nested-v1", None, "9223372036854771712"), ("nested-v1", 20 * MIB, str(100 * MIB)),
    ("systemd-v2", None, "max"), ("systemd-v2", 20 * MIB, str(20 * MIB)),
])  # fmt: skip
def test_swap_as_far_as_allowed(kernel_of: MakeKernel, capture: str, swap_max: int | None, read_back: str) -> None:
    kernel = kernel_of(capture)
    if capture == "systemd-v2":
        kernel.put_processes(kernel.own, 1, os.getpid())
    job = open_at(kernel, swap_max=swap_max)
    file = "memory.swap.max" if capture == "systemd-v2" else "memory.memsw.limit_in_bytes"
    assert kernel.text(job.memcg.path, file).strip() == read_back
    job.close()


def test_never_more_than_a_cgroup_above_allows(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("nested-v1")
    (kernel.own.parent / "memory.limit_in_bytes").write_text(f"{88 * MIB}\n")
    job = open_at(kernel)
    assert (job.limits.budget, job.limits.hard) == (32 * MIB, 48 * MIB)
    assert job.memcg.memory_max() == 48 * MIB
    assert (
        "the memory limit of cgroup /sandbox is 88.0 MiB, and oomguard itself needs 40.0 MiB of it: the job is held at "
        "32.0 MiB, not at 64.0 MiB"
    ) in job.caveats
    raised = job.plan_budget(500 * MIB)
    job.set_budget(raised, swap_max=0)
    assert raised.budget == 32 * MIB
    job.close()


@pytest.mark.parametrize("asked", [30 * MIB, 256 * MIB, 8192 * MIB])
@pytest.mark.parametrize("limit", [90 * MIB, 128 * MIB, 257 * MIB, 272 * MIB, 512 * MIB, 1024 * MIB, 2200 * MIB])
@pytest.mark.parametrize("capture", ["nested-v1", "delegated-user-v2"])
def test_in_a_container_the_job_has_what_fits_beside_its_guard(
    kernel_of: MakeKernel, capture: str, limit: int, asked: int
) -> None:
    """All of them together stay under the container's limit, and hardly a page of it is given away."""
    kernel = kernel_of(capture)
    (kernel.own / ("memory.max" if capture.endswith("v2") else "memory.limit_in_bytes")).write_text(f"{limit}\n")
    job = open_at(kernel, asked)
    hard, budget = job.memcg.memory_max() or 0, job.limits.budget
    assert budget == asked or limit - SUPERVISOR_MEMORY - hard <= 2 * 4096
    assert budget <= hard <= limit - SUPERVISOR_MEMORY
    job.close()


def test_on_v1_the_high_water_mark_says_whether_the_hard_limit_was_met(kernel_of: MakeKernel) -> None:
    job = open_at(kernel_of("nested-v1"))
    for peak, met in ((70 * MIB, False), (80 * MIB, True)):
        (job.memcg.path / "memory.max_usage_in_bytes").write_text(f"{peak}\n")
        assert job.met_its_limit() is met
    job.close()


@pytest.mark.parametrize(
    ("used", "above_is_full", "at_the_limit"),
    [(35, True, False), (79, True, True), (79, False, True), (60, False, True)],
)
def test_on_v1_a_full_cgroup_above_is_not_the_jobs_own_limit(
    kernel_of: MakeKernel, used: int, above_is_full: bool, at_the_limit: bool
) -> None:
    """The kernel marks all that is below it, and tells them: Linux mm/memcontrol-v1.c, mem_cgroup_mark_under_oom()."""
    kernel = kernel_of("nested-v1")
    job = open_at(kernel)
    (job.memcg.path / "memory.oom_control").write_text("oom_kill_disable 1\nunder_oom 1\noom_kill 0\n")
    (job.memcg.path / "memory.usage_in_bytes").write_text(f"{used * MIB}\n")
    full = int(above_is_full)
    (kernel.own / "memory.oom_control").write_text(f"oom_kill_disable 0\nunder_oom {full}\noom_kill 0\n")
    assert job.is_at_the_limit() is at_the_limit
    job.close()


def test_limits_left_behind_and_the_machine_hold_too(kernel_of: MakeKernel) -> None:
    """systemd keeps the scope, with its 300M and soft 250M, to itself: the job goes beside it."""
    kernel = kernel_of("systemd-scope-v2")
    job = open_at(kernel, 1000 * MIB, LimitAbove(whose="this machine's memory", limit=800 * MIB))
    assert job.memcg.path.parent.name == "system.slice"
    assert job.limits.hard <= 250 * MIB
    assert any("250 MiB" in caveat and "where it would have been" in caveat for caveat in job.caveats)
    job.close()


def test_raised_and_grace_are_read_back(kernel_of: MakeKernel) -> None:
    for capture in ("nested-v1", "systemd-scope-v2"):
        kernel = kernel_of(capture)
        job = open_at(kernel)
        job.set_budget(job.plan_budget(128 * MIB), swap_max=0)
        assert job.memcg.memory_max() == 144 * MIB
        job.give_grace()
        assert job.memcg.memory_max() == 152 * MIB
        job.set_budget(job.plan_budget(100 * MIB), swap_max=0)  # and lowered again: memsw follows
        assert job.memcg.memory_max() == 116 * MIB
        assert job.memcg.swap_max() == 0
        kernel.ignored |= {"memory.limit_in_bytes", "memory.max"}
        with pytest.raises(LimitDidNotStick):
            job.set_budget(job.plan_budget(200 * MIB), swap_max=0)
        kernel.ignored.clear()
        job.close()
        import shutil

        shutil.rmtree(kernel.root)


def find(kernel: FakeKernel, choice: Choice = "auto") -> tuple[str | None, list[Refusal]]:
    place = find_place(BudgetRequest(size=64 * MIB, choice=choice), [], root=kernel.root)
    memcg, manager, refusals = place.cgroup, place.manager, place.refusals
    if memcg is not None:
        memcg.close()
        return memcg.kind, refusals
    return None if manager is None else "user scope" if manager.of_user else "system scope", refusals


def deny_all(kernel: FakeKernel, number: int) -> None:
    kernel.denied = dict.fromkeys([kernel.mount, *kernel.mount.rglob("*")], number)


def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)


def check(refusals: list[Refusal], *expected: tuple[str, str, str]) -> None:
    assert [refusal.way for refusal in refusals] == [way for way, _, _ in expected]
    for refusal, (_, why, do) in zip(refusals, expected, strict=True):
        assert why in refusal.why
        assert do in refusal.do


def test_matrix_root_under_systemd(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("systemd-v2")
    kernel.put_processes(kernel.own, 1, os.getpid())
    assert find(kernel) == ("cgroup v2", [])
    assert find(kernel, "systemd") == ("system scope", [])
    assert find(kernel, "polling") == (None, [])


def test_matrix_user_with_a_bus(kernel_of: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_of("systemd-v2")
    kernel.put_processes(kernel.own, 1, os.getpid())
    deny_all(kernel, errno.EACCES)
    as_user(monkeypatch)
    (kernel.root / "run/user/1000").mkdir(parents=True)
    (kernel.root / "run/user/1000/bus").touch()
    found, refusals = find(kernel)
    assert found == "user scope"
    check(refusals, ("cgroup v2", "this user was given none", "sudo $(command -v oomguard) run --max-rss 64M"))
    assert find_scope_manager(kernel.root).environment == {"XDG_RUNTIME_DIR": "/run/user/1000"}


def test_matrix_user_without_a_bus(kernel_of: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_of("systemd-v2")
    kernel.put_processes(kernel.own, 1, os.getpid())
    deny_all(kernel, errno.EACCES)
    as_user(monkeypatch)
    found, refusals = find(kernel)
    assert found is None
    check(
        refusals,
        ("cgroup v2", "this user was given none", "sudo "),
        ("systemd scope", "user 1000 has no session bus", "loginctl enable-linger 1000"),
    )


def test_matrix_read_only_cgroupfs(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("container-read-only-v2")
    deny_all(kernel, errno.EROFS)
    found, refusals = find(kernel)
    assert found is None
    check(
        refusals,
        ("cgroup v2", "read-only here", "docker run --memory 64m --memory-swap 64m"),
        ("systemd scope", "systemd does not run this machine", "docker run --memory"),
    )


def test_matrix_v1(kernel_of: MakeKernel) -> None:
    found, refusals = find(kernel_of("nested-v1"))
    assert found == "cgroup v1"
    check(refusals, ("cgroup v2", "memory controller on v1", "cgroup_no_v1=memory"))


def test_matrix_v1_read_only(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("nested-v1")
    deny_all(kernel, errno.EROFS)
    found, refusals = find(kernel)
    assert found is None
    check(refusals, ("cgroup v2", "on v1", "boot"), ("cgroup v1", "read-only here", "docker run"))


def test_matrix_no_controller_at_all(kernel_of: MakeKernel) -> None:
    kernel = kernel_of("systemd-v2")
    for controllers in kernel.root.rglob("cgroup.controllers"):
        controllers.write_text("cpu io pids\n")
    found, refusals = find(kernel)
    assert found is None
    check(
        refusals,
        ("cgroup v2", "no cgroup hierarchy with a memory controller", "cgroup_disable=memory"),
        ("systemd scope", "here it is on v1, or switched off", "systemd.unified_cgroup_hierarchy=1"),
    )


@pytest.mark.parametrize(
    ("capture", "ignored"),
    [
        ("nested-v1", "memory.limit_in_bytes"),
        ("nested-v1", "memory.oom_control"),
        ("systemd-scope-v2", "memory.max"),
        ("systemd-scope-v2", "memory.swap.max"),
    ],
)
def test_matrix_a_limit_that_does_not_stick_is_a_refusal(kernel_of: MakeKernel, capture: str, ignored: str) -> None:
    """gVisor and the like take a setting and forget it. Nothing is left of the try."""
    kernel = kernel_of(capture)
    kernel.ignored.add(ignored)
    before = files(kernel)
    with pytest.raises(MemcgUnavailable):
        open_at(kernel)
    assert files(kernel) == before
