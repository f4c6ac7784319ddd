"""What is read by a name: never a wait for a pipe, never a device without an end."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel import plain_files, safe_files
from oomguard.kernel.plain_files import open_readable, open_regular, read_into, read_regular

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("read", [open_regular, open_readable])
def test_a_pipe_with_a_name_and_a_device_without_an_end_are_refused(tmp_path: Path, read: object) -> None:
    assert callable(read)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(OSError, match="regular|pipe|device"):
            read(path)


def test_a_file_is_read_through_a_link_and_not_beyond_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 4) == b"four"
    with pytest.raises(OSError, match="too large"):
        read_regular(tmp_path / "link", 3)
    with pytest.raises(OSError, match="too large"):  # a file without a size, as /proc has
        read_regular("/proc/self/smaps", 100)


def test_a_pipe_between_programs_is_read_as_a_terminal_and_dev_null_are() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"a log")
    os.close(theirs)
    with open_readable(f"/dev/fd/{ours}") as file:
        assert file.read() == b"a log"
    os.close(ours)
    with open_readable("/dev/null") as file:
        assert file.read() == b""
    main, terminal = os.openpty()
    with open_readable(f"/dev/fd/{terminal}") as file:
        os.write(main, b"typed\n")
        assert file.readline() == b"typed\n"
    os.close(main)
    os.close(terminal)


def test_a_result_is_not_written_into_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads"):
        safe_files.open_named(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    while True:
        try:
            fd, kind = safe_files.open_named(tmp_path / "pipe")
        except OSError:  # the reader has not come yet
            continue
        break
    os.write(fd, b"a report")
    os.close(fd)
    reader.join()
    assert (kind, got) == ("stream", [b"a report"])


def test_what_is_read_once_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the kernel, the file system or the C library cannot: it is asked once, and never again."""
    (tmp_path / "file").write_bytes(bytes(range(200)))
    preadv = os.preadv
    flags_seen: list[int] = []
    refusal: Exception | None

    def old_preadv(fd: int, rooms: list[memoryview], at: int, flags: int = 0) -> int:
        flags_seen.append(flags)
        if flags:
            assert refusal is not None
            raise refusal
        return preadv(fd, rooms, at)

    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        for refusal in (None, OSError(errno.EOPNOTSUPP, "not supported"), NotImplementedError()):
            monkeypatch.setattr(plain_files, "_keeps_cache", [])
            monkeypatch.setattr(os, "preadv", old_preadv if refusal else preadv)
            flags_seen.clear()
            for at in (5, 100):
                room = bytearray(20)
                assert read_into(fd, memoryview(room), at, once=True) == 20
                assert room == bytes(range(at, at + 20))
            assert not refusal or flags_seen == [0x80, 0, 0]
        refusal = OSError(errno.EIO, "a bad disk")
        monkeypatch.setattr(plain_files, "_keeps_cache", [])
        with pytest.raises(OSError, match="a bad disk"):
            read_into(fd, memoryview(bytearray(20)), 0, once=True)
    finally:
        os.close(fd)
