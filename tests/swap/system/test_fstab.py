"""fstab is replaced whole or not at all; its mode, its backup, and who else manages it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from oomguard.errors import OomguardError, SwapFailed
from oomguard.swap.system import records as fstab_file

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "# by hand, in Latin-1: \xe4\nUUID=1 / ext4 defaults 0 1\n".encode("latin-1")
LINE = "/swap none swap nofail 0 0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_bytes(TEXT)
    (tmp_path / "etc/fstab").chmod(0o640)
    return tmp_path


def test_added_once_and_removed_byte_for_byte(root: Path) -> None:
    fstab = root / "etc/fstab"
    assert fstab_file.add_swap_line(LINE, "/swap", root=root)
    assert fstab.read_bytes() == TEXT + LINE.encode() + b"\n"
    assert stat.S_IMODE(fstab.stat().st_mode) == 0o640
    assert (root / "etc/fstab.before-oomguard").read_bytes() == TEXT
    assert not fstab_file.add_swap_line(LINE, "/swap", root=root)
    assert fstab.read_bytes().count(LINE.encode()) == 1
    assert fstab_file.remove_swap_line("/swap", root=root)
    assert fstab.read_bytes() == TEXT
    assert not fstab_file.remove_swap_line("/swap", root=root)
    assert sorted(path.name for path in fstab.parent.iterdir()) == ["fstab", "fstab.before-oomguard"]


def test_a_machine_without_fstab_gets_one(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    assert fstab_file.add_swap_line(LINE, "/swap", root=tmp_path)
    assert (tmp_path / "etc/fstab").read_text() == LINE + "\n"


def test_a_link_is_left_to_who_made_it(root: Path) -> None:
    (root / "etc/fstab").rename(root / "etc/static")
    (root / "etc/fstab").symlink_to("static")
    with pytest.raises(SwapFailed, match="another program manages it"):
        fstab_file.add_swap_line(LINE, "/swap", root=root)
    assert (root / "etc/static").read_bytes() == TEXT


def test_a_write_that_fails_leaves_it_as_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OomguardError, match="No space left on device"):
        fstab_file.add_swap_line(LINE, "/swap", root=root)
    assert (root / "etc/fstab").read_bytes() == TEXT
    assert not (root / "etc/fstab.oomguard-new").exists()


def test_a_link_laid_in_the_way_is_not_followed(root: Path) -> None:
    (root / "precious").write_text("precious")
    (root / "etc/fstab.oomguard-new").symlink_to("../precious")
    (root / "etc/fstab.before-oomguard").symlink_to("../precious")
    assert fstab_file.add_swap_line(LINE, "/swap", root=root)
    assert (root / "precious").read_text() == "precious"


def test_the_backup_stays_the_one_from_before_the_first_line_of_ours(root: Path) -> None:
    fstab, backup = root / "etc/fstab", root / "etc/fstab.before-oomguard"
    fstab_file.add_swap_line(LINE, "/swap", root=root)
    fstab_file.add_swap_line("/swap2 none swap nofail 0 0", "/swap2", root=root)
    fstab_file.remove_swap_line("/swap", root=root)
    assert backup.read_bytes() == TEXT
    changed = fstab.read_bytes() + b"/dev/sdb1 /data ext4 defaults 0 2\n"  # by hand: the old backup is of no use now
    fstab.write_bytes(changed)
    fstab_file.remove_swap_line("/swap2", root=root)
    assert backup.read_bytes() == changed


def test_a_pipe_in_the_place_of_fstab_is_not_waited_for(root: Path) -> None:
    (root / "etc/fstab").unlink()
    os.mkfifo(root / "etc/fstab")
    with pytest.raises(SwapFailed, match="not a regular file"):
        fstab_file.add_swap_line(LINE, "/swap", root=root)
