"""Each line of the doctor: what is fine, what it costs, and the command that changes it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.cli.showing import screen
from oomguard.formats.proc import Pressure, SwapArea
from oomguard.kernel.model import LogSource
from oomguard.machine_report.model import (
    BetterWay,
    CgroupFacts,
    CgroupLimit,
    DoctorFacts,
    DoctorReport,
    EnforcementFacts,
    KillerFacts,
    MemoryFacts,
    StackFacts,
    TmpfsFacts,
)
from oomguard.machine_report.rules.limits import limit_findings
from oomguard.machine_report.rules.memory import memory_findings
from oomguard.machine_report.screens import render_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.machine_report.model import Finding

GIB, MIB = 1 << 30, 1 << 20
CALM = Pressure(some_10s=0.0, some_60s=0.01, full_10s=0.0, full_60s=0.0)
DISK = SwapArea(path="/swap", kind="file", size=16 * GIB, used=0, priority=-2)
ZRAM = SwapArea(path="/dev/zram0", kind="partition", size=8 * GIB, used=0, priority=100)
KMSG = LogSource(name="kmsg", what="the kernel's log (dmesg)", covers="this boot")
OPEN = CgroupLimit(name="/", memory_max=None, memory_high=None, swap_max=None, unreclaimable=None)
TIGHT = CgroupLimit(name="/user.slice", memory_max=4 * GIB, memory_high=None, swap_max=0, unreclaimable=GIB)

# A machine on which a big job has nothing to fear.
GOOD = DoctorFacts(
    memory=MemoryFacts(
        total=32 * GIB, available=30 * GIB, areas=(DISK,), zswap=True, compressed=(), overcommit=0, committed=4 * GIB,
        commit_limit=32 * GIB, pressure=CALM, oom_kills=0, tmpfs=(TmpfsFacts(mount_point="/dev/shm", size=16 * GIB, used=0),),
    ),
    cgroup=CgroupFacts(layout="v2", read_only=False, levels=(replace(OPEN, name="/user.slice"), OPEN), hidden_max=None),
    enforcement=EnforcementFacts(way="cgroup v2", cannot="", better=()),
    stacks=StackFacts(readers=("pystack",), ptrace_scope=1, may_trace_all=False),
    logs=(KMSG,), killers=(), ulimits={"Max address space": None, "Max open files": 1024}, oom_score_adj=0,
    container=None, scheduler=None, wsl=False,
)  # fmt: skip


def report(facts: DoctorFacts = GOOD, **memory: Any) -> DoctorReport:
    facts = replace(facts, memory=replace(facts.memory, **memory))
    return DoctorReport(findings=(*memory_findings(facts.memory), *limit_findings(facts)), facts=facts)


def worse(found: DoctorReport) -> list[Finding]:
    return [finding for finding in found.findings if not finding.fine]


def test_a_good_machine_is_fine() -> None:
    assert worse(report()) == []
    assert report().fine
    assert [finding.do for finding in report().findings if finding.do] == []


@pytest.mark.parametrize(
    ("changed", "topic", "words", "do"),
    [
        ({"available": 2 * GIB}, "memory", "little room", "ps -eo"),
        ({"total": None}, "memory", "cannot be read", "mount"),
        ({"areas": ()}, "swap", "is killed", "sudo $(command -v oomguard) swap --size 32G"),
        ({"areas": (replace(DISK, used=15 * GIB),)}, "swap", "nearly full", "oomguard swap status"),
        ({"areas": (DISK, ZRAM)}, "zram", "before the disk", "swap remove /dev/zram0"),
        ({"zswap": False}, "zswap", "uncompressed", "zswap/parameters/enabled"),
        ({"overcommit": 2, "committed": 31 * GIB}, "overcommit", "beyond 32.0 GiB, of which 31.0 GiB", "vm.overcommit_memory=0"),
        ({"pressure": replace(CALM, some_60s=0.4)}, "pressure", "40%", "swap status"),
        ({"pressure": None}, "pressure", "psi=1", ""),
        ({"oom_kills": 3}, "kills", "3 processes", "oomguard diagnose"),
        ({"tmpfs": (TmpfsFacts(mount_point="/dev/shm", size=64 * MIB, used=0),)}, "/dev/shm", "bus error", "--shm-size"),
        ({"tmpfs": (TmpfsFacts(mount_point="/tmp", size=GIB, used=MIB),)}, "/tmp", "kept in memory", "TMPDIR"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_memory_that_could_be_better(changed: dict[str, Any], topic: str, words: str, do: str) -> None:
    (finding,) = worse(report(**changed))
    assert finding.topic == topic
    assert words in finding.text
    assert do in (finding.do or "")


@pytest.mark.parametrize(
    ("changed", "topic", "words", "do"),
    [
        ({"cgroup": CgroupFacts(layout="none", read_only=False, levels=(), hidden_max=None)}, "cgroup", "no memory controller", "mount -t cgroup2"),
        ({"cgroup": CgroupFacts(layout="v1", read_only=True, levels=(OPEN,), hidden_max=GIB)}, "limit", "1.0 GiB", "docker run"),
        ({"cgroup": CgroupFacts(layout="v2", read_only=False, levels=(OPEN, replace(TIGHT, swap_max=None)), hidden_max=None)}, "limit",
         "/user.slice is limited to 4.0 GiB, 3.0 GiB left", "systemctl set-property user.slice"),
        ({"cgroup": CgroupFacts(layout="v2", read_only=False, levels=(replace(TIGHT, memory_max=None),), hidden_max=None)}, "limit",
         "may not swap", "MemorySwapMax=infinity"),
        ({"stacks": StackFacts(readers=(), ptrace_scope=1, may_trace_all=True)}, "stacks", "not installed", "oomguard[stack]"),
        ({"stacks": StackFacts(readers=("py-spy",), ptrace_scope=2, may_trace_all=False)}, "stacks", "only root", "ptrace_scope=1"),
        ({"stacks": StackFacts(readers=("py-spy",), ptrace_scope=3, may_trace_all=False)}, "stacks", "next boot", "sysctl.d"),
        ({"logs": (replace(KMSG, unread="it may not be read", do="sudo dmesg"),)}, "kernel log", "may not be read", "sudo dmesg"),
        ({"logs": ()}, "kernel log", "not available", "on the host"),
        ({"killers": (KillerFacts(name="earlyoom", acts="when less than 10% is left"),)}, "earlyoom", "less than 10%", "--avoid"),
        ({"killers": (KillerFacts(name="systemd-oomd", acts="when"),)}, "systemd-oomd", "before the kernel", "ManagedOOMPreference=avoid"),
        ({"ulimits": {"Max address space": 8 * GIB, "Max open files": 64}}, "ulimits", "address space 8.0 GiB (ulimit -v); open files 64", "ulimit -v unlimited"),
        ({"oom_score_adj": 500}, "oom score", "sooner", "choom"),
        ({"wsl": True}, "inside", "WSL", ".wslconfig"),
        ({"scheduler": "Slurm job 4711"}, "inside", "Slurm job 4711", "scontrol show job 4711"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_limits_that_could_be_better(changed: dict[str, Any], topic: str, words: str, do: str) -> None:
    (finding,) = worse(report(replace(GOOD, **changed)))
    assert finding.topic == topic
    assert words in finding.text
    assert do in (finding.do or "")


def test_how_a_job_would_be_held_and_what_each_better_way_needs() -> None:
    better = tuple(BetterWay(way=way, why=f"why {way}", do=f"do {way}") for way in ("cgroup v2", "systemd scope"))
    held = EnforcementFacts(way="polling", cannot="a burst can exceed it", better=better)
    first, *others = worse(report(replace(GOOD, enforcement=held)))
    assert first.text == "oomguard run would enforce a budget by polling: a burst can exceed it"
    assert [(other.text, other.do) for other in others] == [
        (f"{way} cannot be used: why {way}", f"do {way}") for way in ("cgroup v2", "systemd scope")
    ]


def test_what_is_only_to_be_known_is_fine() -> None:
    facts = replace(
        GOOD, container="podman", oom_score_adj=-900, stacks=replace(GOOD.stacks, ptrace_scope=2, may_trace_all=True)
    )
    assert worse(report(facts, overcommit=1, areas=(ZRAM,), oom_kills=None)) == []
    assert worse(report(overcommit=2)) == []
    texts = " ".join(finding.text for finding in report(facts).findings)
    assert "podman" in texts
    assert "later" in texts


def test_strict_is_told_by_one_word() -> None:
    assert report().to_json()["fine"] is True
    found = report(areas=())
    assert found.to_json()["fine"] is False
    assert json.loads(json.dumps(found.to_json()))["schema"] == "oomguard.doctor/1"


def test_screens(check_screen: Callable[[str, str], None]) -> None:
    check_screen("doctor-fine.txt", screen(render_report(report())))
    bad = replace(
        GOOD, cgroup=CgroupFacts(layout="v2", read_only=True, levels=(TIGHT, OPEN), hidden_max=None), container="docker",
        enforcement=EnforcementFacts(way="polling", cannot="a burst can exceed it", better=(BetterWay(
            way="cgroup v2", why="the cgroup filesystem is read-only here, as is usual in containers", do="docker run --memory SIZE ..."),)),
        killers=(KillerFacts(name="earlyoom", acts="when less than 10% of memory is available and less than 10% of swap is free"),),
        ulimits={"Max address space": 8 * GIB}, logs=(), stacks=StackFacts(readers=(), ptrace_scope=1, may_trace_all=False),
    )  # fmt: skip
    check_screen("doctor-container.txt", screen(render_report(report(bad, areas=(), oom_kills=2, zswap=None))))


@pytest.mark.parametrize("hostile", ["\x1b]0;owned\x07", "[bold red]x[/]", "a\nb", "\u202egnp", "\udcff"])
def test_names_are_neither_markup_nor_escapes(hostile: str) -> None:
    """A cgroup, a container or a log may be called anything."""
    facts = replace(
        GOOD, cgroup=replace(GOOD.cgroup, levels=(replace(TIGHT, name=f"/{hostile}.slice"),)), container=hostile,
        logs=(replace(KMSG, what=hostile),), killers=(KillerFacts(name="oomd", acts=hostile),),
    )  # fmt: skip
    shown = screen(render_report(report(facts)))
    assert not set("\x1b\x07\u202e") & set(shown)
    assert "a\nb" not in shown
    json.dumps(report(facts).to_json())
