"""What systemd may answer, or not, when it is asked for a scope. That it gives one is seen in tests/vm."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Timer

import pytest

from oomguard.kernel.cgroup.directory import MemcgDir
from oomguard.kernel.cgroup.refusals import MemcgUnavailable
from oomguard.supervision.backends import systemd as systemd_scope
from oomguard.supervision.backends.systemd import ScopeManager, open_scope

USER = ScopeManager(of_user=True, environment={"XDG_RUNTIME_DIR": "/run/user/1000"})
MIB = 1 << 20


def refusal() -> MemcgUnavailable:
    with pytest.raises(MemcgUnavailable) as caught:
        open_scope(USER, 7, 8, 64 * MIB, [], swap_max=0)
    return caught.value


def put_busctl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (folder / "busctl").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "busctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_busctl_is_called_with_both_processes_and_delegation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_busctl(tmp_path, monkeypatch, f'echo "$XDG_RUNTIME_DIR" "$@" > {tmp_path}/called')
    monkeypatch.setattr(systemd_scope, "_START_SECONDS", 0.01)
    assert "had not moved it there" in str(refusal())
    called = (tmp_path / "called").read_text()
    assert called.startswith("/run/user/1000 --user --timeout=25 call org.freedesktop.systemd1 ")
    assert "PIDs au 2 7 8 Delegate b true" in called


def test_it_says_what_systemd_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_busctl(tmp_path, monkeypatch, "echo 'Call failed: Access denied' >&2; exit 1")
    error = refusal()
    assert "Call failed: Access denied" in str(error)
    assert error.do == "systemctl --user status"


def test_without_busctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "busctl is not installed" in str(refusal())


def test_a_scope_without_the_memory_controller_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The silent failure of systemd-run --user -p MemoryMax=...: here it is seen, and said how to change it."""
    (tmp_path / "cgroup.controllers").write_text("cpu pids\n")
    monkeypatch.setattr(systemd_scope, "_start", lambda *_: None)
    monkeypatch.setattr(systemd_scope, "_scope_of", lambda *_: MemcgDir(tmp_path, 2, tmp_path))
    error = refusal()
    assert "without the memory controller" in str(error)
    assert "Delegate=cpu memory pids" in error.do
    assert os.listdir(tmp_path) == ["cgroup.controllers"]


def test_it_waits_until_both_have_been_moved(tmp_path: Path) -> None:
    """systemd moves one after the other; divided in between, the scope still holds one and gets no controller."""
    for pid in ("self", "7", "8"):
        (tmp_path / "proc" / pid).mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "proc/7/cgroup").write_text("0::/user.slice/app.slice/oomguard-1-7.scope\n")
    reaper = tmp_path / "proc/8/cgroup"
    reaper.write_text("0::/user.slice/session-2.scope\n")
    moving = Timer(0.2, reaper.write_text, ["0::/user.slice/app.slice/oomguard-1-7.scope\n"])
    moving.start()
    scope = systemd_scope._scope_of([7, 8], "oomguard-1-7.scope", tmp_path)
    assert "session-2" not in reaper.read_text()
    assert scope.path == Path("/sys/fs/cgroup/user.slice/app.slice/oomguard-1-7.scope")
    moving.join()
