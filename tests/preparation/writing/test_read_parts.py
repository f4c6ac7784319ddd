"""What was read of each input is compared by a checksum: whatever has taken the input's place."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import pytest

from oomguard.errors import BadInput
from oomguard.preparation.reading.source import Source
from oomguard.preparation.writing.read_parts import read_crc

if TYPE_CHECKING:
    from pathlib import Path


def source(path: Path) -> Source:
    return Source(path=str(path), kind="text", compression=None, size=3, mtime_ns=None)


def test_a_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abcdef")
    assert read_crc(source(tmp_path / "a"), 1, 4)[0] == zlib.crc32(b"bcd")
    assert read_crc(source(tmp_path / "a"), 1, 9)[0] != zlib.crc32(b"bcdef")  # it is shorter than what was read


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_its_place_is_refused_at_once(tmp_path: Path, make: object) -> None:
    make(tmp_path / "a")  # type: ignore[operator]
    with pytest.raises(BadInput, match="cannot be read"):
        read_crc(source(tmp_path / "a"), 0, 3)
