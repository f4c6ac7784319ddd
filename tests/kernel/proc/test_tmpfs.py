"""Files in memory that no process maps: with a name, without one, and memfds; on the real kernel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.proc.open_files import TmpfsFiles
from oomguard.kernel.storage import is_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20


@pytest.fixture
def shared() -> Iterator[Path]:
    path = Path(f"/dev/shm/oomguard-test-{os.getpid()}")
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("/dev/shm is not writable: mount -t tmpfs none /dev/shm")
    yield path
    path.unlink(missing_ok=True)


def fill(fd: int, size: int) -> None:
    os.write(fd, b"x" * size)


def fill_and_see(files: TmpfsFiles, fd: int) -> int:
    """Write 8 MiB, and more while another program gives back as much at that moment, so that nothing seems to grow."""
    fill(fd, 8 * MIB)
    for _ in range(20):
        if files.size([os.getpid()]) >= 8 * MIB:
            break
        fill(fd, 2 * MIB)
    return os.fstat(fd).st_size


def test_a_file_counts_while_it_has_a_name(shared: Path) -> None:
    files = TmpfsFiles()
    with shared.open("wb") as file:
        size = fill_and_see(files, file.fileno())
        assert files.size([os.getpid()]) >= size
        assert (str(shared), size) in files.named()
    files.look([])
    assert dict(files.named())[str(shared)] == size, "closed, but still there"
    shared.unlink()
    files.look([])
    assert str(shared) not in dict(files.named())


def test_a_file_without_a_name_counts_while_it_is_open(shared: Path) -> None:
    files = TmpfsFiles()
    with shared.open("wb") as file:
        shared.unlink()
        size = fill_and_see(files, file.fileno())
        assert files.size([os.getpid()]) >= size
        fill(file.fileno(), MIB // 2)
        assert files.size([os.getpid()]) >= size + MIB // 2, "grown by less than is worth a look at all descriptors"
    assert files.size([os.getpid()]) < 8 * MIB


def test_a_memfd_counts_while_it_is_open() -> None:
    files = TmpfsFiles()
    fd = os.memfd_create("held")
    try:
        size = fill_and_see(files, fd)
        assert files.size([os.getpid()]) >= size
        assert files.named()[0][0].startswith("/memfd:held")
        copy = os.dup(fd)
        os.close(fd)
        fd = copy
        assert files.size([os.getpid()]) >= size, "another descriptor has it"
    finally:
        os.close(fd)
    assert files.size([os.getpid()]) < 8 * MIB


def test_a_file_on_a_disk_does_not_count(tmp_path: Path) -> None:
    if is_in_memory(tmp_path):
        pytest.skip("the temporary folder is memory itself")
    files = TmpfsFiles()
    with (tmp_path / "file").open("wb") as file:
        fill(file.fileno(), 8 * MIB)
        files.look([os.getpid()])
        assert str(tmp_path / "file") not in dict(files.named())
