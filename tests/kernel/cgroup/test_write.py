"""Writing settings: never makes a file, and says what the kernel says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.cgroup import directory as cgroup_files

if TYPE_CHECKING:
    from pathlib import Path


def test_setting_is_written_but_never_made(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("")
    cgroup_files.write_setting(tmp_path, "memory.max", 4096)
    assert (tmp_path / "memory.max").read_text() == "4096"
    with pytest.raises(FileNotFoundError):
        cgroup_files.write_setting(tmp_path, "memory.high", 4096)
    assert not (tmp_path / "memory.high").exists()


def test_removal_waits_for_the_last_process_and_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([OSError(16, "busy"), OSError(16, "busy"), None])

    def remove(path: Path) -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    monkeypatch.setattr(cgroup_files, "remove_cgroup", remove)
    assert cgroup_files.remove_when_empty(tmp_path)
    answers = iter([OSError(16, "busy")])
    monkeypatch.setattr(cgroup_files, "_REMOVAL_PATIENCE_SECONDS", -1.0)
    assert not cgroup_files.remove_when_empty(tmp_path)
    monkeypatch.undo()
    assert cgroup_files.remove_when_empty(tmp_path / "gone")


@pytest.mark.parametrize(("inside", "is_removed"), [("", True), ("4711\n", False)])
def test_one_that_a_busy_machine_has_not_let_go_of_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str, is_removed: bool
) -> None:
    """Nobody else would remove it, where the supervisor was killed; with processes in it, it stays theirs."""
    (tmp_path / "cgroup.procs").write_text(inside)
    answers = iter([OSError(16, "busy")] * 5 + [None])

    def remove(path: Path) -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    monkeypatch.setattr(cgroup_files, "remove_cgroup", remove)
    monkeypatch.setattr(cgroup_files, "_REMOVAL_PATIENCE_SECONDS", -1.0)
    assert cgroup_files.remove_when_empty(tmp_path) == is_removed


def test_stale_budgets_of_a_place_that_cannot_be_read(tmp_path: Path) -> None:
    cgroup_files.remove_stale_budgets(tmp_path / "nowhere")
