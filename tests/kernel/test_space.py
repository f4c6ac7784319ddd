"""Writing out and giving back a file's space, each by its effect."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel import storage
from oomguard.kernel.storage import punch_hole, start_writeback

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("missing", [None, "symbol", "system call"])
def test_writeback_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: bool, missing: str | None
) -> None:
    """fdatasync() steps in where sync_file_range() is missing. tests/live looks at the dirty pages."""
    if missing == "symbol":
        monkeypatch.setattr(storage, "libc", object)
    elif missing == "system call":
        libc = type("Libc", (), {"sync_file_range": staticmethod(lambda *_: -1)})
        monkeypatch.setattr(storage, "libc", libc)
        monkeypatch.setattr("ctypes.get_errno", lambda: 38)  # ENOSYS
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with (tmp_path / "file").open("wb", buffering=0) as file:
        file.write(b"x" * 4096 * 64)
        start_writeback(file.fileno(), 0, 4096 * 64, wait=wait)
        assert synced == ([file.fileno()] if missing else [])
    assert (tmp_path / "file").read_bytes() == b"x" * 4096 * 64


def test_writeback_of_what_is_no_file_is_an_error() -> None:
    read, write = os.pipe()
    try:
        with pytest.raises(OSError, match="Illegal seek"):
            start_writeback(write, 0, 1, wait=False)
    finally:
        os.close(read)
        os.close(write)


def test_hole_gives_blocks_back_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w+b", buffering=0) as file:
        file.write(b"x" * (1 << 20))
        os.fsync(file.fileno())
        blocks = path.stat().st_blocks
        if not punch_hole(file.fileno(), 4096, 1 << 19):
            pytest.skip("this file system has no holes; set TMPDIR to one on ext4, xfs, btrfs or tmpfs")
        assert path.stat().st_blocks <= blocks - (1 << 19) // 512
    assert path.read_bytes() == b"x" * 4096 + bytes(1 << 19) + b"x" * ((1 << 20) - 4096 - (1 << 19))


def test_hole_in_what_was_not_opened_for_writing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 8192)
    with (tmp_path / "file").open("rb") as file, pytest.raises(OSError, match="Bad file"):
        punch_hole(file.fileno(), 0, 4096)
