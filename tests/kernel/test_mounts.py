"""Which file system a folder is on: the real kernel's answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguard.kernel import storage
from oomguard.kernel.storage import is_in_memory, mount_of


def test_a_mount_that_cannot_be_found_out_is_an_error_of_the_machine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "read_kernel_text", lambda _: None)
    with pytest.raises(OSError, match="does not say which file system"):
        mount_of(Path("/tmp"))
    assert not is_in_memory(Path("/proc")), "needs no list: in a chroot it may lack the mount"


def test_a_tmpfs_is_memory_and_a_folder_below_that_is_not_there_yet_too() -> None:
    if mount_of(Path("/dev/shm")).file_system != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs here: mount -t tmpfs none /dev/shm")
    assert is_in_memory(Path("/dev/shm"))
    assert is_in_memory(Path(f"/dev/shm/not-{os.getpid()}/there/yet"))


def test_a_disk_is_not() -> None:
    home = Path(__file__).parent
    assert is_in_memory(home) == (mount_of(home).file_system in ("tmpfs", "ramfs", "devtmpfs"))
    assert mount_of(Path("/proc")).file_system == "proc"
    assert not is_in_memory(Path("/proc"))


def test_a_relative_folder_is_one_of_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/proc")
    assert not is_in_memory(Path("tokens"))
    assert mount_of(Path()).mount_point == "/proc"
