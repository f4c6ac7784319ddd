"""Files that processes read: their position, and what is no input."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oomguard.kernel.proc.open_files import file_position, read_open_inputs
from tests.kernel.other_processes import grown

if TYPE_CHECKING:
    from pathlib import Path


def test_position_and_size_of_what_another_process_reads(tmp_path: Path) -> None:
    with grown(tmp_path) as process:
        (found,) = read_open_inputs([process.pid, 2**22 + 1])
        assert found.path == str(tmp_path / "train.txt")
        assert found.size == 8_000_000
        assert 3_000_000 <= found.position < 3_000_000 + (1 << 20)  # Python's buffer reads ahead
        assert file_position(process.pid, str(tmp_path / "train.txt")) == found.position
        assert file_position(process.pid, str(tmp_path / "other.txt")) is None


def test_what_is_written_small_or_no_file_is_no_input(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(2 << 20))
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "a\n\x1b[2J").write_bytes(bytes(3 << 20))
    descriptors = [os.open(big, os.O_WRONLY), os.open(tmp_path / "small", os.O_RDONLY), *os.pipe()]
    reading = [os.open(big, os.O_RDONLY), os.open(big, os.O_RDWR), os.open(tmp_path / "a\n\x1b[2J", os.O_RDONLY)]
    os.lseek(reading[1], 1000, os.SEEK_SET)
    (tmp_path / "a\n\x1b[2J").unlink()
    try:
        found = [opened for opened in read_open_inputs([os.getpid()]) if str(tmp_path) in opened.path]
    finally:
        for fd in (*descriptors, *reading):
            os.close(fd)
    assert [(opened.path, opened.position) for opened in found] == [
        (f"{tmp_path}/a\n\x1b[2J (deleted)", 0),
        (str(big), 1000),  # open twice: the furthest counts
    ]


def test_fake_tree_and_its_gaps(tmp_path: Path) -> None:
    """A descriptor without fdinfo, with a strange one, of a process that may not be read."""
    (tmp_path / "data").write_bytes(bytes(2 << 20))
    for pid, info in {7: "pos:\t5\nflags:\t0100000\n", 8: "nonsense", 9: None}.items():
        (tmp_path / f"proc/{pid}/fd").mkdir(parents=True)
        (tmp_path / f"proc/{pid}/fdinfo").mkdir()
        (tmp_path / f"proc/{pid}/fd/3").symlink_to(tmp_path / "data")
        if info is not None:
            (tmp_path / f"proc/{pid}/fdinfo/3").write_text(info)
    found = read_open_inputs([7, 8, 9, 10], root=tmp_path)
    assert [(opened.pid, opened.position, opened.size) for opened in found] == [(7, 5, 2 << 20)]


def test_libraries_and_memory_are_no_input(tmp_path: Path) -> None:
    for name in ("libx.so", "libx.so.1.0", "libx.so.txt"):
        (tmp_path / name).write_bytes(bytes(2 << 20))
    reading = [os.open(path, os.O_RDONLY) for path in sorted(tmp_path.iterdir())]
    reading.append(os.memfd_create("slots"))
    os.truncate(reading[-1], 2 << 20)
    try:
        found = {opened.path for opened in read_open_inputs([os.getpid()]) if opened.size == 2 << 20}
    finally:
        for fd in reading:
            os.close(fd)
    assert found == {str(tmp_path / "libx.so.txt")}
