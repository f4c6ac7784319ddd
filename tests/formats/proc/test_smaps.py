"""What each mapping holds, and mounts: text of this kernel, and text that is none."""

from __future__ import annotations

from pathlib import Path

from oomguard.formats.mounts import parse_mountinfo
from oomguard.formats.proc import MemoryShare, parse_smaps

SMAPS = """\
55d1a8e3b000-55d1a9ffc000 rw-p 00000000 00:00 0                          [heap]
Size:              18180 kB
Rss:               18100 kB
Anonymous:         18000 kB
Swap:                 24 kB
7f0000000000-7f0004000000 rw-p 00000000 00:00 0
Anonymous:         65536 kB
Swap:                  0 kB
7f1000000000-7f1000100000 r--p 00001000 fe:00 12345                      /lib/with space.so (deleted)
Rss:                1024 kB
Anonymous:             8 kB
7f2000000000-7f2004000000 rw-p 00000000 00:00 0
Anonymous:          1000 kB
VmFlags: rd wr mr
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Anonymous:             0 kB
"""


def test_anonymous_memory_by_mapping_largest_first() -> None:
    assert parse_smaps(SMAPS.splitlines(keepends=True)) == [
        MemoryShare(mapping="anonymous", size=(65536 + 1000) << 10),
        MemoryShare(mapping="[heap]", size=(18000 + 24) << 10),
        MemoryShare(mapping="/lib/with space.so (deleted)", size=8 << 10),
    ]


def test_own_smaps_adds_up_to_own_rollup() -> None:
    # Read before anything is parsed: that takes memory of its own.
    text, rollup = Path("/proc/self/smaps").read_text(), Path("/proc/self/smaps_rollup").read_text()
    shares = parse_smaps(text.splitlines())
    anonymous = int(rollup.partition("\nAnonymous:")[2].split()[0]) << 10
    assert abs(sum(share.size for share in shares) - anonymous) < 1 << 20


def test_what_is_no_smaps_gives_nothing() -> None:
    assert parse_smaps(["", "Anonymous: nine kB", f"Anonymous: {'9' * 5000} kB", "\0\0"]) == []


def test_mounts_of_this_machine_and_broken_lines() -> None:
    mounts = parse_mountinfo(Path("/proc/self/mountinfo").read_text())
    assert {"proc", "sysfs"} <= {mount.file_system for mount in mounts}
    assert len({mount.mount_point for mount in mounts}) == len(mounts)
    text = r"36 35 98:0 /a /with\040space rw,noatime - ext4 /dev/x rw" + "\n36 35 98:0 / /b\nnonsense - x\n"
    (mount,) = parse_mountinfo(text)
    assert (mount.mount_point, mount.major, mount.file_system) == ("/with space", 98, "ext4")
