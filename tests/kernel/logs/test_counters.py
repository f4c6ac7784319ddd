"""Counters where no log can be read, and the programs that kill before the kernel does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from oomguard.diagnosis.advice import advise_counters
from oomguard.diagnosis.api import diagnose
from oomguard.diagnosis.causes.find import explain_counters
from oomguard.diagnosis.killers import running_killers
from oomguard.kernel.logs import counters
from oomguard.kernel.logs.counters import read_oom_counters
from oomguard.kernel.machine import oom_kills_since_boot

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30


def machine(
    root: Path, *, cgroup: str = "/user.slice/job.scope", kills: dict[str, int] | None = None, vmstat: int = 0
) -> Path:
    """A machine with cgroup v2 and these counts of kills."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/vmstat").write_text(f"nr_free_pages 12\noom_kill {vmstat}\n")
    (root / "proc/self/cgroup").write_text(f"0::{cgroup}\n")
    (root / "proc/self/mountinfo").write_text("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n")
    top = root / "sys/fs/cgroup"
    top.mkdir(parents=True)
    (top / "cgroup.controllers").write_text("cpu memory pids\n")
    for name, count in (kills or {cgroup: 0}).items():
        folder = top / name.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.events").write_text(f"low 0\nhigh 0\nmax 9\noom 1\noom_kill {count}\noom_group_kill 0\n")
        (folder / "memory.max").write_text(f"{GIB}\n")
        (folder / "memory.peak").write_text(f"{GIB}\n")
    return root


def test_a_kill_in_our_own_cgroup_is_likely_ours(tmp_path: Path) -> None:
    root = machine(tmp_path, kills={"/user.slice/job.scope": 2, "/user.slice": 5}, vmstat=9)
    found = explain_counters(read_oom_counters(root))
    assert (found.verdict, found.oom_kills, found.memcg) == ("likely", 2, "/user.slice/job.scope")
    assert "1.0 GiB" in found.limit_text
    assert "it was full" in found.limit_text


def test_a_kill_somewhere_on_the_machine(tmp_path: Path) -> None:
    counters = read_oom_counters(machine(tmp_path, vmstat=3))
    assert (explain_counters(counters).verdict, explain_counters(counters).oom_kills) == ("likely", 3)
    (tmp_path / ".dockerenv").touch()
    assert explain_counters(read_oom_counters(tmp_path)).verdict == "possible"


def test_no_kill_proves_nothing(tmp_path: Path) -> None:
    assert explain_counters(read_oom_counters(machine(tmp_path))).verdict == "none"
    assert explain_counters(read_oom_counters(tmp_path / "nothing")).verdict == "none"


def test_kills_since_boot_and_who_else_kills(tmp_path: Path) -> None:
    machine(tmp_path, vmstat=3)
    for pid, comm, command in (
        (7, "earlyoom", b"/usr/bin/earlyoom"),
        (8, "python3", b"python3\0/usr/sbin/nohang\0--monitor"),
        (9, "bash", b"bash"),
    ):
        process = tmp_path / "proc" / str(pid)
        process.mkdir()
        (process / "comm").write_text(f"{comm}\n")
        (process / "cmdline").write_bytes(command)
    assert oom_kills_since_boot(tmp_path) == 3
    assert running_killers(tmp_path) == ["earlyoom", "nohang"]


@pytest.mark.parametrize("below", ["/", "/child"])
def test_a_namespace_without_a_mount_of_its_own(tmp_path: Path, below: str) -> None:
    """`unshare -C` alone: /proc says that the own cgroup is the root, and the mount shows the machine's."""
    own = f"/a/b/c{below}".rstrip("/")
    root = machine(tmp_path, cgroup=below, kills={own: 2, "/a/b/other": 7}, vmstat=9)
    (root / "proc/self/mountinfo").write_text("30 23 0:26 /../../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    (root / f"sys/fs/cgroup{own}/cgroup.procs").write_text(f"1\n{os.getpid()}\n")
    found = explain_counters(read_oom_counters(root))
    assert (found.verdict, found.oom_kills, found.memcg) == ("likely", 2, own)


def test_files_and_links_are_no_cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cgroup holds dozens of files: with them, a machine of many containers had more than are looked at."""
    own = "/k/burst/pod/own"
    root = machine(tmp_path, cgroup="/", kills={own: 2}, vmstat=9)
    (root / "proc/self/mountinfo").write_text("30 23 0:26 /../../../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    top = root / "sys/fs/cgroup"
    for number in range(300):
        (top / f"k/burst/pod/file{number}").touch()
        (top / f"k/burst/pod/link{number}").symlink_to(top / "k")
    (top / own.lstrip("/") / "cgroup.procs").write_text(f"{os.getpid()}\n")
    monkeypatch.setattr(counters, "_MOST_CGROUPS", 4)
    found = explain_counters(read_oom_counters(root))
    assert (found.verdict, found.oom_kills, found.memcg) == ("likely", 2, own)


def container(root: Path, *, version: int, kills: int) -> Path:
    """A container in a cgroup namespace: its own cgroup is the root of what it sees."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/vmstat").write_text("oom_kill 0\n")
    group = root / ("sys/fs/cgroup" if version == 2 else "sys/fs/cgroup/memory")
    group.mkdir(parents=True)
    kind, line = ("cgroup2", "0::/") if version == 2 else ("cgroup", "5:memory:/")
    options = "rw" if version == 2 else "rw,memory"
    (root / "proc/self/cgroup").write_text(f"{line}\n")
    (root / "proc/self/mountinfo").write_text(
        f"31 25 0:27 / /{group.relative_to(root)} ro,relatime - {kind} cgroup {options}\n"
    )
    files = {
        2: {"memory.events": f"low 0\nhigh 0\nmax 812\noom 3\noom_kill {kills}", "memory.max": "536870912", "memory.peak": "536870912",
            "memory.stat": "anon 5", "cgroup.controllers": "memory"},
        1: {"memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}", "memory.limit_in_bytes": "536870912",
            "memory.max_usage_in_bytes": "536870912", "memory.stat": "rss 5"},
    }  # fmt: skip
    for name, text in files[version].items():
        (group / name).write_text(f"{text}\n")
    return root


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("marked", [True, False])
def test_the_containers_own_counters(tmp_path: Path, version: int, marked: bool) -> None:
    """Docker, Kubernetes and podman show a container its own cgroup as "/": it is not the machine's root."""
    root = container(tmp_path, version=version, kills=2)
    if marked:
        (root / ".dockerenv").touch()
    counters = read_oom_counters(root)
    assert counters.in_container
    found = explain_counters(counters)
    assert (found.verdict, found.oom_kills) == ("likely", 2)
    assert "this container" in found.text
    assert "512 MiB" in found.limit_text
    assert "it was full" in found.limit_text
    commands = [step.command or "" for step in advise_counters(counters)]
    assert not any(command.startswith("sudo $(") and "# on the host" not in command for command in commands)
    assert any("on the host" in command for command in commands)


def test_the_machines_own_root_is_no_container(tmp_path: Path) -> None:
    root = container(tmp_path, version=1, kills=7)
    (root / "sys/fs/cgroup/memory/release_agent").write_text("\n")
    counters = read_oom_counters(root)
    assert (counters.memcgs, counters.in_container) == ((), False)


def test_a_filter_that_fits_nothing_reads_no_counters(tmp_path: Path) -> None:
    """ "Was mine killed since I started it?" must not be answered by kills of others."""
    root = machine(tmp_path, vmstat=42)
    assert diagnose(root=root).verdict == "likely"
    for asked in ({"name": "nosuch"}, {"pid": 4711}, {"since": "1m"}):
        answer = diagnose(root=root, **asked)
        assert (answer.verdict, answer.killer, answer.counters) == ("none", None, None)
        assert f"no out-of-memory kill {'since' if 'since' in asked else 'matching'} " in str(answer.render())


def test_a_log_that_no_longer_holds_the_kill(tmp_path: Path) -> None:
    """The ring forgets; the counter does not."""
    root = machine(tmp_path, vmstat=3)
    (root / "var/log").mkdir(parents=True)
    (root / "var/log/kern.log").write_text("Mar  1 10:00:00 h kernel: [1.0] all is well\n")
    answer = diagnose(root=root)
    assert answer.verdict == "possible"
    assert "no longer hold it" in str(answer.render()).replace("\n           ", " ")
    assert "could not be read" not in str(answer.render())


def test_what_could_not_be_read_is_named(tmp_path: Path) -> None:
    answer = diagnose(root=container(tmp_path, version=2, kills=2))
    screen = " ".join(str(answer.render()).split())
    assert "not read the kernel's log (dmesg): not there" in screen
    assert "run this on the host" in screen
