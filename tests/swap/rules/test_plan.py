"""Which steps make swap on which file system, where none is made, and whether it will help."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import SwapRefused
from oomguard.formats.proc import SwapArea
from oomguard.kernel.model import DiskFacts
from oomguard.swap.rules.plan import pick_place, plan_swap_file
from tests.swap.swap_places import GIB, SSD, machine, place

MIB = 1 << 20
ZRAM = SwapArea(path="/dev/zram0", kind="partition", size=8 * GIB, used=0, priority=100)


def kinds(file_system: str, kernel: tuple[int, int] = (6, 1), **changed: Any) -> list[str]:
    plan = plan_swap_file(place(file_system=file_system, **changed), machine(kernel=kernel), GIB)
    return [step.kind for step in plan.steps]


def test_each_file_system_has_its_recipe() -> None:
    """Source: swapon(8), and what was tried on each (docs/swap.md)."""
    ends = ["format", "enable", "verify"]
    assert kinds("ext4") == ["create", "mode", "allocate", *ends]
    assert kinds("ext3") == ["create", "mode", "zeros", *ends]
    assert kinds("xfs") == kinds("ext4")
    assert kinds("xfs", (4, 17)) == kinds("ext3")
    assert kinds("btrfs") == ["create", "mode", "no_copy_on_write", "allocate", *ends]
    assert kinds("btrfs", new_subvolume="/data/s")[0] == "subvolume"
    assert kinds("f2fs") == ["create", "mode", "pin", "allocate", *ends]
    assert kinds("jfs") == kinds("ext3")


@pytest.mark.parametrize("granule_of", [("ext4", 1), ("f2fs", 2)])
@given(size=st.integers(MIB, 70 * GIB))
def test_the_size_is_what_was_asked_and_never_less(granule_of: tuple[str, int], size: int) -> None:
    file_system, granule = granule_of
    plan = plan_swap_file(place(file_system=file_system), machine(), size)
    assert 0 <= plan.size - size < granule * MIB
    assert plan.size % (granule * MIB) == 0
    assert any(str(plan.size) in step.command for step in plan.steps)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"file_system": "tmpfs"}, ["tmpfs", "memory already"]),
        ({"file_system": "overlay"}, ["overlay", "container"]),
        ({"file_system": "zfs"}, ["zfs", "zvol", "partition"]),
        ({"file_system": "bcachefs"}, ["bcachefs", "partition"]),
        ({"file_system": "nfs4"}, ["nfs4", "network"]),
        ({"file_system": "cifs"}, ["cifs", "network"]),
        ({"file_system": "fuse.sshfs"}, ["fuse.sshfs", "a program serves it"]),
        ({"file_system": "vfat"}, ["vfat", "no file modes"]),
        ({"read_only": True}, ["read-only", "remount,rw /data"]),
        ({"file_system": "btrfs", "btrfs_devices": 2, "btrfs_profiles": ("raid1",)}, ["2 disks", "raid1"]),
        ({"existing": "a file"}, ["exists already", "oomguard swap remove /data/oomguard.swap"]),
        ({"symlink": "/data"}, ["/data is a symbolic link"]),
        ({"missing_folder": "/data/x"}, ["/data/x does not exist", "mkdir"]),
        ({"foreign_folder": "the folder /data belongs to another user (uid 7)"}, ["uid 7"]),
        ({"free": 73 * GIB}, ["64.0 GiB", "73.0 GiB", "10.0 GiB (10%)", "--size 64512M fits"]),
        ({"free": 5 * GIB}, ["does not fit", "5.0 GiB of 100 GiB"]),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_place_that_does_not_do_is_refused_with_the_reason(facts: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SwapRefused) as refused:
        plan_swap_file(place(**facts), machine(), 64 * GIB)
    said = f"{refused.value}\n{refused.value.do}"
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"container": "docker", "root_may_swapon": False}, ["container (docker)", "host"]),
        ({"missing_tools": ("mkswap",)}, ["mkswap", "util-linux"]),
        ({"areas": (ZRAM,) * 23}, ["23 swap areas"]),
        ({"kernel": (4, 19)}, ["btrfs supports swap files since Linux 5.0"]),
    ],
    ids=["container", "tools", "areas", "kernel"],
)
def test_a_machine_that_cannot_is_refused(facts: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SwapRefused) as refused:
        plan_swap_file(place(file_system="btrfs"), machine(**facts), GIB)
    said = f"{refused.value}\n{refused.value.do}"
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize("size", [0, -1, 1 << 60])
def test_sizes_that_mkswap_does_not_take(size: int) -> None:
    with pytest.raises(SwapRefused, match="not a possible size"):
        plan_swap_file(place(free=1 << 62, total=1 << 61), machine(), size)


def concerns(**options: Any) -> tuple[str, str]:
    """What the plan says of the help to expect, and all its concerns as one text."""
    facts = {key: options.pop(key) for key in ("disk", "file_system") if key in options}
    size, peak = options.pop("size", GIB), options.pop("peak", None)
    plan = plan_swap_file(place(**facts), machine(**options), size, peak=peak)
    return plan.helps, " | ".join(f"{concern.text} {concern.command or ''}" for concern in plan.concerns)


def test_a_fast_disk_and_a_little_swap_raise_no_concern() -> None:
    assert concerns() == ("yes", "")


def test_whether_it_helps_is_said_before() -> None:
    helps, said = concerns(swap_max=0, swap_max_of="cgroup /a.slice")
    assert helps == "no"
    assert "cgroup /a.slice may not swap" in said
    helps, said = concerns(swap_max=MIB, swap_max_of="cgroup /a.slice")
    assert helps == "yes"
    assert "only 1.0 MiB of swap" in said
    helps, said = concerns(size=20 * GIB)
    assert helps == "slowly"
    assert "36.0 GiB" in said
    helps, said = concerns(peak=40 * GIB)
    assert helps == "slowly"
    assert "the job needs 40.0 GiB" in said
    assert concerns(peak=30 * GIB)[0] == "yes"


@pytest.mark.parametrize(
    ("disk", "helps", "words"),
    [
        (DiskFacts(name="sda", kind="hdd", bytes_per_second=1e8, measured=False), "slowly", "a spinning disk"),
        (DiskFacts(name="mmcblk0", kind="card", bytes_per_second=3e7, measured=False), "slowly", "card"),
        (DiskFacts(name="nbd0", kind="network", bytes_per_second=9e8, measured=True), "slowly", "network"),
        (DiskFacts(name="vda", kind="virtual", bytes_per_second=9e7, measured=True), "slowly", "90 MB/s"),
        (DiskFacts(name="loop0", kind="loop", bytes_per_second=9e8, measured=True), "yes", "another file system"),
    ],
    ids=lambda value: value.kind if isinstance(value, DiskFacts) else "",
)
def test_a_slow_disk_is_named(disk: DiskFacts, helps: str, words: str) -> None:
    found, said = concerns(disk=disk)
    assert found == helps
    assert words in said


def test_compressed_memory_is_taken_into_account() -> None:
    assert "zswap is off" in concerns(zswap=False)[1]
    assert concerns(zswap=None)[1] == ""
    said = concerns(zswap=False, areas=(ZRAM,))[1]
    assert "priority 100" in said
    assert "zswap is off" not in said


def test_the_fastest_disk_with_room_is_picked() -> None:
    slow = DiskFacts(name="sda", kind="hdd", bytes_per_second=1e8, measured=False)
    fast, roomy = place(free=20 * GIB), place(disk=slow, mount_point="/big")
    assert pick_place([roomy, fast], 8 * GIB) == fast
    assert pick_place([roomy, fast], 64 * GIB) == roomy
    with pytest.raises(SwapRefused, match=r"none of the 2 disks: there is room for at most 70\.0 GiB on /big"):
        pick_place([roomy, fast], 90 * GIB)
    with pytest.raises(SwapRefused, match=r"80\.0 GiB of 100 GiB is free"):
        pick_place([roomy], 90 * GIB)
    with pytest.raises(SwapRefused, match="no disk here"):
        pick_place([], GIB)


def test_commands_are_for_this_user_and_quote_the_path() -> None:
    hostile = place(path="/data/a b; rm -rf $HOME")
    plan = plan_swap_file(hostile, machine(), GIB, persist=True, priority=9, as_root=False)
    lines = plan.to_json()["commands"]
    assert all("'/data/a b; rm -rf $HOME'" in line for line in lines if "rm -rf" in line and "fstab" not in line)
    assert "sudo swapon -p 9 '/data/a b; rm -rf $HOME'" in lines
    assert lines[-1] == (
        "printf '%s\\n' '/data/a\\040b;\\040rm\\040-rf\\040$HOME none swap nofail,pri=9 0 0' | sudo tee -a /etc/fstab"
    )
    assert SSD.name in str(plan.to_json())


def test_swap_that_is_to_last_is_on_a_disk_that_does() -> None:
    plan = plan_swap_file(place(), machine(), GIB, persist=True)
    assert "fstab does not mount /data" in str(plan.concerns)
    plan = plan_swap_file(place(), machine(fstab_targets=frozenset({"/data"})), GIB, persist=True)
    assert plan.concerns == ()
