"""The two clocks of a cgroup: on captured machines, and against what a real process does in a small one."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.cgroup.directory import MemcgDir, find_own_memcg
from oomguard.profiling.high_water import MemcgClock
from tests.kernel.fake_cgroups import CAPTURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20


def captured(capture: str, tmp_path: Path) -> MemcgDir:
    root = tmp_path / "root"
    shutil.copytree(CAPTURES / capture, root)
    found = find_own_memcg(root)
    assert found is not None
    return found


def write(memcg: MemcgDir, **files: str) -> None:
    for name, text in files.items():
        (memcg.path / f"memory.{name.replace('__', '.')}").write_text(text)


def test_v2_reads_each_kind(tmp_path: Path) -> None:
    memcg = captured("systemd-scope-v2", tmp_path)
    write(
        memcg,
        stat="anon 1000\nfile 500\nkernel 300\nsock 7\nshmem 100\nslab_reclaimable 200\n",
        current="1900\n", peak="5000\n", swap__current="64\n",
    )  # fmt: skip
    clock = MemcgClock(memcg)
    reading = clock.read()
    assert reading.unreclaimable == 1000 + 100 + (300 - 200) + 7 + 64
    assert reading.cache == (500 - 100) + 200  # what the kernel can take back, reclaimable slab as well
    assert (reading.swap, reading.charged) == (64, 1900)
    clock.close()
    clock.close()


def test_v1_reads_each_kind(tmp_path: Path) -> None:
    memcg = captured("nested-v1", tmp_path)
    write(
        memcg,
        stat="cache 1\nrss 2\ntotal_cache 500\ntotal_rss 1000\ntotal_shmem 100\ntotal_swap 64\n",
        usage_in_bytes="1700\n", max_usage_in_bytes="5000\n", kmem__usage_in_bytes="300\n",
    )  # fmt: skip
    reading = MemcgClock(memcg).read()
    assert reading.unreclaimable == 1000 + 100 + 64
    assert reading.cache == (500 - 100) + 300  # v1 does not say what of its kernel memory is cache
    assert (reading.swap, reading.charged) == (64, 1700)


def test_what_page_faults_can_have_filled(tmp_path: Path) -> None:
    """A page for each, and a huge one for each of those: v2 counts them for the cgroup, /proc/vmstat for all."""
    page, huge = mmap.PAGESIZE, mmap.PAGESIZE**2 // 8
    memcg = captured("systemd-scope-v2", tmp_path / "v2")
    write(memcg, stat="anon 1\npgfault 100\nthp_fault_alloc 5\nthp_collapse_alloc 1\n")
    clock = MemcgClock(memcg)
    assert clock.read().filled == 0
    write(memcg, stat="anon 1\npgfault 110\nthp_fault_alloc 7\nthp_collapse_alloc 2\n")
    assert clock.read().filled == 10 * page + 3 * huge
    write(memcg, stat="anon 1\n")
    assert clock.read().filled is None
    memcg = captured("nested-v1", tmp_path / "v1")
    vmstat = tmp_path / "v1/root/proc/vmstat"
    write(memcg, stat="total_rss 1\ntotal_pgfault 100\n")
    vmstat.write_text("thp_fault_alloc 50\n")
    clock = MemcgClock(memcg, root=tmp_path / "v1/root")
    write(memcg, stat="total_rss 1\ntotal_pgfault 102\n")
    vmstat.write_text("thp_fault_alloc 51\n")
    assert clock.read().filled == 2 * page + huge


@pytest.mark.parametrize("capture", ["systemd-scope-v2", "nested-v1"])
def test_a_cgroup_that_is_gone_holds_nothing(capture: str, tmp_path: Path) -> None:
    memcg = captured(capture, tmp_path)
    shutil.rmtree(memcg.path)
    clock = MemcgClock(memcg)
    assert not clock.is_exact
    reading = clock.read()
    assert (reading.unreclaimable, reading.cache, reading.charged, reading.most) == (0, 0, None, None)
    clock.close()


def test_an_old_mark_tells_of_an_interval_only_when_it_rose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 5.19 to 6.11 refuse to open memory.peak for writing. What it said at first is of before."""
    memcg = captured("systemd-scope-v2", tmp_path)
    real = os.open

    def refuse(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse)
    write(memcg, peak="5000\n")
    clock = MemcgClock(memcg)
    assert not clock.is_exact
    found = []
    for peak in ("5000", "5000", "7000", "7000", "7001", ""):
        write(memcg, peak=f"{peak}\n")
        found.append(clock.read().most)
    assert found == [None, None, 7000, None, 7001, None]


@contextmanager
def cgroup_of(program: str) -> Iterator[tuple[MemcgDir, subprocess.Popen[str]]]:
    """A process in a small cgroup of its own, at most 300 MiB, which does a line's work for each line it is given."""
    own = find_own_memcg()
    if own is None or own.version != 1 or os.getuid() != 0:
        pytest.skip("needs a writable cgroup v1 memory hierarchy, as root; v2's marks are looked at in tests/vm")
    path = own.mount_point / f"oomguard-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made in {own.mount_point}: {error.strerror}")
    try:
        (path / "memory.limit_in_bytes").write_text(str(300 * MIB))
        enter = f"import os, mmap, sys\nopen({str(path / 'cgroup.procs')!r}, 'w').write('0')\nheld = []\n"
        loop = "print(flush=True)\nfor line in sys.stdin:\n    exec(line)\n    print(flush=True)\n"
        with subprocess.Popen(
            [sys.executable, "-c", enter + program + "\n" + loop],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            try:
                do(process)
                yield MemcgDir(path, 1, own.mount_point), process
            finally:
                process.kill()
    finally:
        path.rmdir()


def do(process: subprocess.Popen[str], line: str = "") -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    if line:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    assert process.stdout.readline() == "\n"


def test_a_real_cgroup_s_spikes_are_in_the_mark_of_their_interval(tmp_path: Path) -> None:
    with cgroup_of("") as (memcg, process):
        clock = MemcgClock(memcg)
        assert clock.is_exact
        calm = clock.read()
        # A grandchild that holds 80 MiB for a moment and is gone at the next look.
        do(process, "pid = os.fork() or [bytearray(b'x') * (80 << 20), os._exit(0)]; os.waitpid(pid, 0)")
        spike = clock.read()
        assert spike.most is not None and calm.unreclaimable is not None
        assert 79 * MIB <= spike.most - calm.unreclaimable < 84 * MIB
        assert spike.unreclaimable < calm.unreclaimable + 3 * MIB
        assert spike.filled is not None and spike.filled > 79 * MIB
        # Page cache that came and went is in the mark, and was not filled by faults.
        scratch = f"f = open({str(tmp_path / 'scratch')!r}, 'wb'); [f.write(bytes(1 << 16)) for _ in range(1280)]; "
        do(process, f"{scratch}f.close(); os.unlink(f.name)")
        file = clock.read()
        assert file.most is not None and file.most - calm.unreclaimable > 70 * MIB
        assert file.cache < 5 * MIB
        huge_elsewhere = 40 * MIB  # v1 knows of huge pages for the whole machine
        assert file.filled is not None and file.filled < 10 * MIB + huge_elsewhere
        after = clock.read()
        assert after.most is not None and after.most < calm.unreclaimable + 6 * MIB
        do(process, "held.append(bytearray(b'x') * (50 << 20))")
        grown = clock.read()
        assert 49 * MIB <= grown.unreclaimable - after.unreclaimable < 52 * MIB  # memory.stat lags by some pages
        # Page cache is charged, and is not held; a tmpfs file is.
        do(process, f"f = open({str(tmp_path / 'cache')!r}, 'wb'); f.write(b'x' * (30 << 20)); f.flush()")
        cached = clock.read()
        assert 29 * MIB <= cached.cache - grown.cache < 32 * MIB
        assert cached.unreclaimable < grown.unreclaimable + 4 * MIB
        do(process, "m = mmap.mmap(-1, 20 << 20); [m.write(bytes(1 << 16)) for _ in range(320)]")
        shared = clock.read()
        assert 19 * MIB <= shared.unreclaimable - cached.unreclaimable < 23 * MIB
        assert abs(shared.cache - cached.cache) < 2 * MIB
        clock.close()
