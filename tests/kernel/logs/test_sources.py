"""Where logs are, what may be read of them, and how they are packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.errors import BadInput, NeedsPrivilege, NothingFound
from oomguard.kernel.logs.files import read_log
from oomguard.kernel.logs.sources import find_sources, named_sources, survey_sources

if TYPE_CHECKING:
    from collections.abc import Callable

CAPTURE = Path(__file__).parents[2] / "captures/kernel_log/three-kills-6.1.log"


def pack_zstd(text: bytes) -> bytes:
    if shutil.which("zstd"):
        return subprocess.run(["zstd", "-c"], input=text, capture_output=True, check=True).stdout
    arrow = pytest.importorskip("pyarrow", reason="needs zstd or pyarrow")
    return bytes(arrow.compress(text, codec="zstd", asbytes=True))


def pack_zip(text: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("var/log/kern.log", text)
    return packed.getvalue()


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
    with pytest.raises(BadInput, match="damaged") as error:
        list(read_log(log))
    assert str(log) in error.value.do


def test_what_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(NothingFound, match="does not exist"):
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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_what_powershell_writes(tmp_path: Path, encoding: str) -> None:
    """With and without a byte order mark, also packed."""
    text = CAPTURE.read_text()
    for name, pack in (("oom.txt", bytes), ("oom.txt.gz", gzip.compress), ("oom.zip", pack_zip)):
        log = tmp_path / name
        log.write_bytes(pack(text.encode(encoding)))
        assert b"".join(read_log(log)).decode().strip() == text.strip()


def test_a_zip_archive_gives_all_its_members(tmp_path: Path) -> None:
    log = tmp_path / "logs.zip"
    log.write_bytes(pack_zip(CAPTURE.read_bytes()))
    assert b"".join(read_log(log)) == CAPTURE.read_bytes() + b"\n"
    log.write_bytes(log.read_bytes()[:-40])
    with pytest.raises(BadInput, match="damaged"):
        list(read_log(log))


@pytest.mark.slow
def test_archives_are_bounded(tmp_path: Path) -> None:
    """An archive of 100 kB may hold anything."""
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(10_001):
            archive.writestr(f"{number}", b"")
    with pytest.raises(BadInput, match="more than 10,000 files") as error:
        list(read_log(many))
    assert "unzip -p" in error.value.do
    large = tmp_path / "large.zip"
    with zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(BadInput, match="times its size"):
        for _ in read_log(large):
            pass


def bomb(path: Path) -> None:
    """A dictionary of 512 MiB and 128 MiB of zeros in 20 kB."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 << 20}]
    with lzma.open(path, "wb", filters=filters) as file:
        for _ in range(128):
            file.write(bytes(1 << 20))


@pytest.mark.slow
def test_no_archive_takes_more_than_60_mb(tmp_path: Path) -> None:
    pid = os.fork()
    if not pid:  # the compressor itself takes gigabytes
        bomb(tmp_path / "bomb.xz")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    usual = tmp_path / "usual.xz"
    usual.write_bytes(lzma.compress(CAPTURE.read_bytes() * 50, preset=6))
    program = """
import re, sys
from oomguard.diagnosis.api import diagnose
from oomguard.errors import OomguardError
try:
    print(diagnose(sys.argv[1]).found)
except OomguardError as error:
    print(error, error.do)
print(re.search(r"VmHWM:\\s+([0-9]+)", open("/proc/self/status").read())[1])
"""
    told = {}
    for name in ("bomb.xz", "usual.xz"):
        run = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / name)], capture_output=True, text=True, check=True
        )
        said, peak = run.stdout.strip().splitlines()
        assert int(peak) < 60_000, (name, peak)
        told[name] = said
    assert "xz -dc" in told["bomb.xz"]
    assert told["usual.xz"] == "150"


def test_a_folder_is_all_its_files_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(["b.log", "a.log", "deeper/c.log"]):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        os.utime(path, (10**9 - age, 10**9 - age))
    found = [Path(readable.source.what).name for readable in named_sources([str(tmp_path)])]
    assert found == ["b.log", "a.log", "c.log"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(NothingFound, match="no file in the folder"):
        named_sources([str(tmp_path / "nothing")])
