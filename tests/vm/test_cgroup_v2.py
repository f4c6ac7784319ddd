"""Budgets on real kernels that this machine does not run: cgroup v2 under systemd, in a container, without systemd.

Boots a small Debian in qemu (about 10 s a boot under emulation; no KVM needed) and runs oomguard in it.
Turned on by OOMGUARD_VM=1, as it takes minutes, and installs qemu and builds tests/vm/cache/ the first time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.vm.machine import GUEST, Facts, Machine

pytestmark = pytest.mark.live

LIVE = Path(__file__).parents[1] / "live"
MIB = 1 << 20
BUDGET = 160 * MIB
PYTEST_PARTS = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py")


@pytest.fixture(scope="module")
def machine(machine: Machine) -> Machine:
    machine.share_files(GUEST / "check_budget.py")
    return machine


@pytest.fixture(scope="module")
def under_systemd(machine: Machine) -> dict[str, Facts]:
    machine.share_files(GUEST / "scenarios.sh")
    machine.share_modules(*PYTEST_PARTS)  # all of pure Python, so the guest's own interpreter runs them
    (machine.share / "tests/live").mkdir(parents=True)
    shutil.copy(LIVE / "test_own_cgroup.py", machine.share / "tests/live")
    return machine.run("systemd", "bash /host/scenarios.sh", timeout=600)


def check_enforced(facts: Facts, parent: str, *, kind: str = "cgroup v2", limit: int = BUDGET) -> None:
    """What every budget must do, wherever it was made."""
    assert "error" not in facts, facts
    assert facts["kind"] == kind
    assert Path(facts["path"]).parent == Path(parent)
    assert facts["inside"] == facts["path"]
    assert facts["memory_max"] == [limit, BUDGET, 0]  # the effective one, as read back, and swap closed
    assert facts["oom_group"] == ("0\n" if kind == "cgroup v2" else None)
    known, counted = facts["known"]
    assert counted == pytest.approx(known, rel=0.05)
    written, cache, counted = facts["cache"]
    assert cache >= 0.9 * written  # else the next line would prove nothing
    assert counted < (0.05 if kind == "cgroup v2" else 0.08) * written  # v1 cannot tell ext4's buffer heads
    assert facts["max_after_reload"] == BUDGET
    assert (facts["killed_by"], facts["oom_kills"]) == (9, 1)
    if facts["peak"] is not None:
        assert 0.9 * limit <= facts["peak"] <= limit
    assert 0.9 * limit <= facts["headroom"][0] <= limit


def check_left(facts: Facts) -> None:
    assert facts["gone"]
    assert facts["back"]


def own_directory(facts: Facts) -> str:
    return "/sys/fs/cgroup" + facts["before"].strip().removeprefix("0::").rstrip("/")


def test_service_with_other_processes_goes_beside_itself(under_systemd: dict[str, Facts]) -> None:
    facts = under_systemd["service"]
    check_enforced(facts, "/sys/fs/cgroup/system.slice")
    check_left(facts)
    assert "next to its old cgroup /system.slice/vm-run.service" in " ".join(facts["caveats"])


@pytest.mark.parametrize("name", ["delegated-scope", "delegated-service", "user-scope", "container-alone"])
def test_delegated_cgroup_keeps_the_job_inside(under_systemd: dict[str, Facts], name: str) -> None:
    """Root's scope, an unprivileged service, a user's own scope as the error advises it, a writable container."""
    facts = under_systemd[name]
    check_enforced(facts, own_directory(facts))
    check_left(facts)
    assert facts["caveats"] == []
    assert (facts["uid"] == 0) is (name in ("delegated-scope", "container-alone"))


def test_scope_that_systemd_keeps_to_itself(under_systemd: dict[str, Facts]) -> None:
    """The budget survives a daemon-reload beside the scope. The scope ends when it is empty: no way back."""
    facts = under_systemd["scope"]
    check_enforced(facts, "/sys/fs/cgroup/system.slice")
    assert not facts["back"]
    assert not facts["gone"]  # the next run removes it: see test_nothing_is_left_behind_after_the_next_run


def test_lower_limit_above_is_the_effective_one(under_systemd: dict[str, Facts]) -> None:
    facts = under_systemd["scope-of-120M"]
    check_enforced(facts, own_directory(facts), limit=120 * MIB)
    check_left(facts)
    assert "limited to 120 MiB, less than the 160 MiB" in " ".join(facts["caveats"])


@pytest.mark.parametrize(
    ("name", "error", "what", "do"),
    [
        ("not-delegated", "MemcgNotPermitted", "may not make a memory cgroup", "sudo "),
        ("container-read-only", "MemcgUnavailable", "read-only", "docker run --memory 160m"),
        ("container-beside-shell", "MemcgUnavailable", "other processes", "docker run --memory 160m"),
    ],
)
def test_where_it_cannot_be_had_it_says_what_would_help(
    under_systemd: dict[str, Facts], name: str, error: str, what: str, do: str
) -> None:
    facts = under_systemd[name]
    assert facts["error"] == error
    assert what in facts["what"]
    assert do in facts["do"]
    assert facts["back"]


def test_live_tests_pass_on_v2_too(machine: Machine, under_systemd: dict[str, Facts]) -> None:
    out = machine.folder / "systemd"
    report = (out / "live.txt").read_text()
    assert (out / "live.status").read_text() == "0\n", report
    assert "skipped" not in report


def test_nothing_is_left_behind_after_the_next_run(machine: Machine, under_systemd: dict[str, Facts]) -> None:
    assert (machine.folder / "systemd/left-behind.txt").read_text() == ""


@pytest.mark.parametrize(
    ("name", "kind", "parent", "options"),
    [
        ("without-systemd", "cgroup v2", "/sys/fs/cgroup", ["--init", "mini"]),
        ("hybrid", "cgroup v1", "/sys/fs/cgroup/memory/system.slice/vm-run.service", ["--cgroup", "hybrid"]),
        ("linux-5.10", "cgroup v2", "/sys/fs/cgroup/system.slice", ["--kernel", "5.10"]),
        ("linux-6.12", "cgroup v2", "/sys/fs/cgroup/system.slice", ["--kernel", "6.12"]),
    ],
)
def test_other_machines(machine: Machine, name: str, kind: str, parent: str, options: list[str]) -> None:
    command = "PYTHONPATH=/host python3 /host/check_budget.py /out/budget.json"
    facts = machine.run(name, command, *options)["budget"]
    check_enforced(facts, parent, kind=kind)
    check_left(facts)
