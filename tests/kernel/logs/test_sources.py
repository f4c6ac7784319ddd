"""Where logs are, what may be read of them, and how they are packed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.errors import BadInput, NeedsPrivilege, NothingFound
from oomguard.kernel.logs.files import read_log
from oomguard.kernel.logs.sources import find_sources, survey_sources

if TYPE_CHECKING:
    from collections.abc import Callable

CAPTURE = Path(__file__).parents[2] / "captures/kernel_log/three-kills-6.1.log"


def pack_zstd(text: bytes) -> bytes:
    if shutil.which("zstd"):
        return subprocess.run(["zstd", "-c"], input=text, capture_output=True, check=True).stdout
    arrow = pytest.importorskip("pyarrow", reason="needs zstd or pyarrow")
    return bytes(arrow.compress(text, codec="zstd", asbytes=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": pack_zstd,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_a_log_is_read_however_it_is_packed(tmp_path: Path, packer: str) -> None:
    """By its first bytes: rotations are named in many ways."""
    log = tmp_path / "kern.log.1"
    log.write_bytes(PACKERS[packer](CAPTURE.read_bytes()))
    assert b"".join(read_log(log)) == CAPTURE.read_bytes()


@pytest.mark.parametrize("packer", ["gz", "xz", "bz2"])
def test_a_torn_archive_says_so(tmp_path: Path, packer: str) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(PACKERS[packer](CAPTURE.read_bytes())[:-20])
    with pytest.raises(BadInput, match="torn") as error:
        list(read_log(log))
    assert str(log) in error.value.do


def test_what_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(NothingFound, match="no file"):
        read_log(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="folder"):
        read_log(tmp_path)
    journal = tmp_path / "system.journal"
    journal.write_bytes(b"LPKSHHRH" + bytes(200))
    with pytest.raises(BadInput, match="journal") as error:
        read_log(journal)
    assert "journalctl --file" in error.value.do


def test_what_may_not_be_read(tmp_path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may read everything; run it as another user")
    log = tmp_path / "kern.log"
    log.write_bytes(b"")
    log.chmod(0)
    with pytest.raises(NeedsPrivilege, match="may not read") as error:
        read_log(log)
    assert "sudo" in error.value.do


def test_log_files_are_found_newest_first_with_their_rotations(tmp_path: Path) -> None:
    logs = tmp_path / "var/log"
    logs.mkdir(parents=True)
    for age, name in enumerate(["syslog", "kern.log", "kern.log.1", "messages-20260101.xz", "kern.log.2.gz"]):
        (logs / name).write_bytes(b"")
        os.utime(logs / name, (10**9 - age, 10**9 - age))
    (logs / "kern.log.d").mkdir()
    (logs / "dpkg.log").write_bytes(b"")
    sources = survey_sources(tmp_path)
    assert [Path(source.what).name for source in sources if source.name == "file"] == [
        "syslog", "kern.log", "kern.log.1", "messages-20260101.xz", "kern.log.2.gz",
    ]  # fmt: skip


def test_a_container_without_the_kernels_log_says_how_it_could_be_read(tmp_path: Path) -> None:
    (source,) = survey_sources(tmp_path)
    assert (source.name, source.covers) == ("kmsg", "this boot")
    assert source.unread is not None
    assert "not there" in source.unread
    assert source.do is not None
    (readable,) = find_sources(tmp_path)
    assert list(readable.read()) == []
