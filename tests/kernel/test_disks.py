"""What a disk is, told by trees of sysfs as Linux lays them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from oomguard.formats.mounts import Mount
from oomguard.kernel.storage import disk_of


def mount(device: str) -> Mount:
    major, minor = map(int, device.split(":"))
    return Mount(
        mount_id=1, major=major, minor=minor, root="/", mount_point="/", options=frozenset({"rw"}), super_options=frozenset({"rw"}),
        file_system="ext4", source="/dev/root",
    )  # fmt: skip


def add_disk(root: Path, number: str, place: str, *, rotational: str = "0", partition: bool = False) -> Path:
    folder = root / "sys/devices" / place
    folder.mkdir(parents=True, exist_ok=True)
    if partition:
        (folder / "partition").write_text("1\n")
    else:
        (folder / "queue").mkdir(exist_ok=True)
        (folder / "queue/rotational").write_text(f"{rotational}\n")
    (root / "sys/dev/block").mkdir(parents=True, exist_ok=True)
    (root / "sys/dev/block" / number).symlink_to(folder)
    return folder


@pytest.mark.parametrize(
    ("place", "rotational", "kind"),
    [
        ("pci0000:00/nvme/nvme0/nvme0n1", "0", "nvme"),
        ("pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda", "0", "ssd"),
        ("pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda", "1", "hdd"),
        ("platform/host3/session1/target3:0:0/3:0:0:1/block/sdb", "0", "network"),
        ("platform/mmc_host/mmc0/mmc0:0001/block/mmcblk0", "0", "card"),
        ("pci0000:00/virtio2/block/vda", "1", "virtual"),  # virtio says 1 unless it was told otherwise
        ("virtual/block/loop3", "0", "loop"),
        ("virtual/block/nbd0", "0", "network"),
        ("virtual/block/zram0", "0", "memory"),
    ],
)
def test_kinds(tmp_path: Path, place: str, rotational: str, kind: str) -> None:
    add_disk(tmp_path, "8:0", place, rotational=rotational)
    disk = disk_of(mount("8:0"), root=tmp_path)
    assert (disk.kind, disk.name, disk.measured) == (kind, Path(place).name, False)
    assert disk.bytes_per_second > 0


def test_a_partition_is_its_disk(tmp_path: Path) -> None:
    add_disk(tmp_path, "259:0", "nvme/nvme0/nvme0n1")
    add_disk(tmp_path, "259:2", "nvme/nvme0/nvme0n1/nvme0n1p2", partition=True)
    assert disk_of(mount("259:2"), root=tmp_path).name == "nvme0n1"


def test_encryption_on_raid_is_its_slowest_disk(tmp_path: Path) -> None:
    disks = [add_disk(tmp_path, f"8:{n}", f"ata{n}/block/sd{'ab'[n]}", rotational=str(n)) for n in range(2)]
    raid = add_disk(tmp_path, "9:0", "virtual/block/md0")
    mapped = add_disk(tmp_path, "254:0", "virtual/block/dm-0")
    for upper, below in ((raid, disks), (mapped, [raid])):
        (upper / "slaves").mkdir()
        for each in below:
            (upper / "slaves" / each.name).symlink_to(each)
    assert disk_of(mount("254:0"), root=tmp_path).kind == "hdd"


def test_without_a_block_device_it_is_unknown(tmp_path: Path) -> None:
    assert disk_of(mount("0:45"), root=tmp_path).kind == "unknown"
    assert disk_of(mount("8:99"), root=tmp_path).kind == "unknown"


def test_a_disk_that_can_be_read_is_measured(tmp_path: Path) -> None:
    add_disk(tmp_path, "8:0", "ata1/block/sda")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/sda").write_bytes(bytes(4 << 20))
    disk = disk_of(mount("8:0"), root=tmp_path)
    assert disk.measured
    assert disk.bytes_per_second > 1e6
