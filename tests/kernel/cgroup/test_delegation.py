"""Who says that a cgroup is ours: systemd's mark, or systemd itself where it sets none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguard.kernel.cgroup.limits import may_hand_out_controllers

SCOPE = Path("sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope")


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    marks: dict[str, bytes] = {}

    def read_mark(path: Path, name: str) -> bytes:
        if name not in marks:
            raise OSError(61, "No data available")
        return marks[name]

    monkeypatch.setattr(os, "getxattr", read_mark)
    return marks


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path


def test_without_systemd_nobody_puts_it_back(tmp_path: Path, marks: dict[str, bytes]) -> None:
    assert may_hand_out_controllers(tmp_path / SCOPE, tmp_path)


@pytest.mark.parametrize("name", ["trusted.delegate", "user.delegate"])
def test_mark(root: Path, marks: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert not may_hand_out_controllers(root / SCOPE, root)
    marks[name] = b"0"
    assert not may_hand_out_controllers(root / SCOPE, root)
    marks[name] = b"1"
    assert may_hand_out_controllers(root / SCOPE, root)


@pytest.mark.parametrize(("answer", "expected"), [("echo yes", True), ("echo no", False), ("exit 1", False)])
def test_without_a_mark_a_users_manager_is_asked(
    root: Path, marks: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, answer: str, expected: bool
) -> None:
    systemctl = root / "bin/systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(f'#!/bin/sh\necho "$@" > {root}/asked\n{answer}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert may_hand_out_controllers(root / SCOPE, root) is expected
    assert (root / "asked").read_text() == "--user show --property=Delegate --value run-1.scope\n"
    (root / "asked").unlink()
    assert not may_hand_out_controllers(root / SCOPE.parent, root)  # a slice holds no processes of ours
    assert not (root / "asked").exists()


def test_missing_systemctl_is_a_no(root: Path, marks: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert not may_hand_out_controllers(root / SCOPE, root)
