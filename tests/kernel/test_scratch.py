"""A folder of one run's own: what others put in its place is not touched, and a killed run's goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from oomguard.errors import NotOurs
from oomguard.kernel.storage import scratch_folder

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = ".oomguard-plan-"
MARK = ".oomguard-scratch"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def finished(parent: Path) -> Path:
    """A folder that is kept, as private as a scratch folder is."""
    folder = parent / "out"
    folder.mkdir(0o700)
    (folder / "train.bin").write_bytes(b"kept")
    return folder


def test_it_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, PREFIX) as (folder, within):
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (within / "a").mkdir()
        (within / "a/b").write_text("text")
        (within / "link").symlink_to(tmp_path)
        assert (folder / "a/b").read_text() == "text"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_given_such_a_name_is_not_taken_for_a_left_one(tmp_path: Path) -> None:
    """Where everyone may write, another user can rename what root has finished: then it is renamed, not gone."""
    finished(tmp_path).rename(tmp_path / f"{PREFIX}x")
    (tmp_path / f"{PREFIX}y").symlink_to(finished(tmp_path))
    with scratch_folder(tmp_path, PREFIX):
        pass
    assert (tmp_path / f"{PREFIX}x/train.bin").read_bytes() == b"kept"
    assert (tmp_path / "out/train.bin").read_bytes() == b"kept"


@pytest.mark.parametrize("is_link", [True, False])
def test_what_is_put_in_its_place_meanwhile_is_not_removed(tmp_path: Path, is_link: bool) -> None:
    with scratch_folder(tmp_path, PREFIX) as (folder, within):
        (within / "text").write_text("a part")
        folder.rename(tmp_path / "away")
        if is_link:
            folder.symlink_to(finished(tmp_path))
        else:
            finished(tmp_path).rename(folder)
    kept = tmp_path / "out" if is_link else folder
    assert (kept / "train.bin").read_bytes() == b"kept"
    assert list((tmp_path / "away").iterdir()) == [], "the text of the user's goes all the same"


def test_what_is_put_in_its_place_before_it_is_used_is_not_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = os.mkdir

    def made_and_replaced(name: str, mode: int, *, dir_fd: int) -> None:
        made(name, mode, dir_fd=dir_fd)
        os.rmdir(name, dir_fd=dir_fd)
        kept.rename(tmp_path / name)

    kept = finished(tmp_path)
    monkeypatch.setattr(os, "mkdir", made_and_replaced)
    with pytest.raises(FileExistsError), scratch_folder(tmp_path, PREFIX):
        pass
    (there,) = tmp_path.iterdir()
    assert (there / "train.bin").read_bytes() == b"kept"


def test_it_is_locked_before_it_can_be_taken_for_a_left_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run that comes by at any moment of its making leaves it."""
    opened = os.open

    def opened_while_another_comes_by(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        fd = opened(name, flags, mode, dir_fd=dir_fd)
        if name == MARK:
            with monkeypatch.context() as before:
                before.setattr(os, "open", opened)
                with scratch_folder(tmp_path, PREFIX):
                    pass
        return fd

    monkeypatch.setattr(os, "open", opened_while_another_comes_by)
    with scratch_folder(tmp_path, PREFIX) as (folder, _):
        assert folder.is_dir()


def test_what_a_killed_run_left_goes_and_one_at_work_stays(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from oomguard.kernel.storage import scratch_folder\n"
        f"with scratch_folder(Path(sys.argv[1]), {PREFIX!r}) as (_, within):\n"
        "    (within / 'text').write_text('a part')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    with scratch_folder(tmp_path, PREFIX) as (folder, _):
        assert not left.exists()
        with scratch_folder(tmp_path, PREFIX) as (other, _):
            assert other != folder
            assert folder.is_dir()


def test_what_cannot_be_emptied_goes_with_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no descriptor is left: it keeps its mark."""
    with monkeypatch.context() as patch, scratch_folder(tmp_path, PREFIX) as (folder, within):
        (within / "out").mkdir()
        (within / "out" / "text").write_text("a part")
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
    assert folder.exists()
    with scratch_folder(tmp_path, PREFIX):
        assert not folder.exists()


@AS_ROOT
def test_root_makes_none_in_another_user_s_folder(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    with pytest.raises(NotOurs), scratch_folder(theirs, PREFIX):
        pass
    assert list(theirs.iterdir()) == []
