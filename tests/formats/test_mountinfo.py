"""Mounts of captured machines; lines that are none."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from oomguard.formats.mounts import parse_mountinfo

CAPTURES = sorted(Path("tests/captures/memcg").glob("*/proc/self/mountinfo"))
BTRFS = r"36 35 0:43 /@home /mnt/with\040space rw,noatime shared:1 - btrfs /dev/mapper/a\134b rw,compress=zstd:3,subvol=/@home"


def test_every_mount_point_of_the_captures_is_found_once() -> None:
    assert CAPTURES
    for capture in CAPTURES:
        text = capture.read_text()
        points = {line.split(" ")[4] for line in text.splitlines()}
        assert len(parse_mountinfo(text)) == len(points)


def test_fields_and_escapes() -> None:
    (mount,) = parse_mountinfo(BTRFS)
    assert (mount.mount_id, mount.major, mount.minor, mount.root) == (36, 0, 43, "/@home")
    assert (mount.mount_point, mount.file_system, mount.source) == ("/mnt/with space", "btrfs", "/dev/mapper/a\\b")
    assert mount.super_options == {"rw", "compress=zstd:3", "subvol=/@home"}
    assert not mount.read_only
    assert parse_mountinfo(BTRFS.replace("rw,noatime", "ro,noatime"))[0].read_only
    assert parse_mountinfo(BTRFS.replace("rw,compress", "ro,compress"))[0].read_only


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    parse_mountinfo(text)
    parse_mountinfo(BTRFS.replace("36", text, 1))
