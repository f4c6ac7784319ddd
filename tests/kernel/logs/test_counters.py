"""Counters where no log can be read, and the programs that kill before the kernel does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.counted import explain_counters
from oomguard.kernel.logs.counters import oom_kills_since_boot, read_oom_counters, running_killers

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
