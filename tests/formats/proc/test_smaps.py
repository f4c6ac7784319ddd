"""What each mapping holds, and mounts: text of this kernel, and text that is none."""

from __future__ import annotations

import platform
import threading
from pathlib import Path

import pytest

from oomguard.formats.mounts import parse_mountinfo
from oomguard.formats.proc import MemoryShare, parse_arenas, parse_smaps

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


ARENAS = """\
55d1a8e3b000-55d1a9ffc000 rw-p 00000000 00:00 0                          [heap]
Anonymous:         18000 kB
7f8a40000000-7f8a41c00000 rw-p 00000000 00:00 0
Anonymous:         28000 kB
Swap:                 64 kB
7f8a41c00000-7f8a44000000 ---p 00000000 00:00 0
Anonymous:             0 kB
7f8a44000000-7f8a44021000 rw-p 00000000 00:00 0
Anonymous:           132 kB
7f8a44021000-7f8a48000000 ---p 00000000 00:00 0
Anonymous:             0 kB
7f8a4c000000-7f8a4e000000 rw-p 00000000 00:00 0
Anonymous:          9000 kB
7f8a4f000000-7f8a50000000 ---p 00000000 00:00 0
"""


def test_arenas_begin_at_a_multiple_of_64_mib_and_are_reserved_up_to_the_next() -> None:
    """The last mapping begins so, and is an array that somebody made: nothing is reserved behind it."""
    assert parse_arenas(ARENAS.splitlines(keepends=True)) == [(28000 + 64) << 10, 132 << 10]
    assert parse_arenas(["7f8a40000000-7f8a41c00000 rw-p", "Anonymous: x kB", "\0"]) == []


def test_each_thread_that_allocates_has_an_arena() -> None:
    """On glibc; another malloc has none."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("malloc is not glibc's")
    done, go = threading.Barrier(5), threading.Event()

    def work() -> None:
        held = [bytes(b"x" * (60_000 + number)) for number in range(40)]
        done.wait()
        go.wait()
        held.clear()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    done.wait()
    with Path("/proc/self/smaps").open() as smaps:
        found = parse_arenas(smaps)
    go.set()
    for thread in threads:
        thread.join()
    assert sum(size > 40 * 60_000 for size in found) >= 2  # there are eight for each CPU at most


def test_thousands_of_names_are_not_all_kept_and_nothing_is_missing_from_the_sum() -> None:
    lines = [
        line
        for number in range(6000)
        for line in (f"7f{number:08x}000-7f{number:08x}fff r--p 00000000 08:01 9 /{number}", "Anonymous: 4 kB")
    ]
    shares = parse_smaps(lines)
    assert sum(share.size for share in shares) == 6000 * 4096
    assert len(shares) == 4097
    assert shares[0] == MemoryShare(mapping="other mappings", size=(6000 - 4096) * 4096)
