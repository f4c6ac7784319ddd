"""Logs that are packed: what would take gigabytes to unpack is refused, and who unpacks is the system's program."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def diagnose(folder: Path, log: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oomguard", "diagnose", "--log", log], cwd=folder, capture_output=True, text=True,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def test_an_xz_that_asks_for_half_a_gigabyte_is_refused_with_a_line_that_reads_it(tmp_path: Path) -> None:
    """100 kB took 550 MB, where a log of any size is read in 60."""
    packed = bytearray(lzma.compress(bytes(1 << 16)))
    header = slice(12, 12 + 4 * (packed[12] + 1) - 4)  # of the block, without its checksum
    assert packed[14:16] == b"\x21\x01"  # LZMA2, one byte of properties: the size of the dictionary
    packed[16] = 34  # 512 MiB
    packed[header.stop : header.stop + 4] = zlib.crc32(packed[header]).to_bytes(4, "little")
    (tmp_path / "bomb.log.xz").write_bytes(packed)
    done = diagnose(tmp_path, "bomb.log.xz")
    assert done.returncode == 1
    assert "takes more than" in done.stderr
    assert "xz -dc bomb.log.xz | oomguard diagnose -" in done.stderr


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python reads .zst itself")
def test_a_program_that_somebody_put_in_front_is_not_started(tmp_path: Path) -> None:
    fake = tmp_path / "zstd"
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\ncat\n")
    fake.chmod(0o755)
    (tmp_path / "kernel.log.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(64))
    done = diagnose(tmp_path, "kernel.log.zst", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "started").exists()
