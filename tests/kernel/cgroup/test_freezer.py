"""The freezer over a made-up cgroup: what it writes, and when it says that nothing runs."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.cgroup import freezer
from oomguard.kernel.cgroup.freezer import CgroupFreezer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.freeze").write_text("0")
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    return tmp_path


def states(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    """The states of processes 0, 1, ..., as /proc would show them."""
    proc = SimpleNamespace(stat=lambda pid: SimpleNamespace(state=found[pid]) if pid < len(found) else None)
    monkeypatch.setattr(freezer, "ProcFiles", lambda: proc)


def test_it_is_frozen_when_the_kernel_says_so(cgroup: Path) -> None:
    (cgroup / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    assert CgroupFreezer(cgroup, list).freeze()
    assert (cgroup / "cgroup.freeze").read_text() == "1"


def test_it_is_waited_for(cgroup: Path) -> None:
    thread = threading.Timer(0.02, lambda: (cgroup / "cgroup.events").write_text("populated 1\nfrozen 1\n"))
    thread.start()
    assert CgroupFreezer(cgroup, list).freeze()
    thread.join()


def test_a_task_that_is_parked_at_the_limit_counts_as_frozen(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel never calls such a cgroup frozen."""
    states(monkeypatch, "D", "S")
    assert CgroupFreezer(cgroup, lambda: [0, 1, 2]).freeze()


@pytest.mark.parametrize("found", [("R", "D"), ("S", "S")], ids=["one still runs", "none is parked"])
def test_what_never_freezes_is_said(cgroup: Path, monkeypatch: pytest.MonkeyPatch, found: tuple[str, ...]) -> None:
    states(monkeypatch, *found)
    monkeypatch.setattr(freezer, "_FREEZE_PATIENCE_SECONDS", 0.05)
    assert not CgroupFreezer(cgroup, lambda: [0, 1]).freeze()


def test_thaw_lets_it_continue_and_a_cgroup_that_is_gone_is_no_error(cgroup: Path) -> None:
    (cgroup / "cgroup.freeze").write_text("1")
    CgroupFreezer(cgroup, list).thaw()
    assert (cgroup / "cgroup.freeze").read_text() == "0"
    CgroupFreezer(cgroup / "gone", list).thaw()


def test_a_kernel_that_refuses_is_told(cgroup: Path) -> None:
    with pytest.raises(OSError, match="cgroup.freeze"):
        CgroupFreezer(cgroup / "gone", list).freeze()
