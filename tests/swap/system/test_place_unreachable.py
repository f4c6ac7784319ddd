"""Disks are picked among those that this user can reach."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from oomguard.swap.system import file

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_mount_in_a_folder_that_may_not_be_read_is_no_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "hidden" / "disk"
    hidden.mkdir(parents=True)
    hidden.parent.chmod(0o700)
    line = f"36 35 98:0 / {hidden} rw,noatime shared:1 - ext4 /dev/sda1 rw\n"
    monkeypatch.setattr(file, "read_kernel_text", lambda _: line)
    os.seteuid(NOBODY)
    try:
        assert file.places_to_pick((6, 1)) == []
    finally:
        os.seteuid(0)
