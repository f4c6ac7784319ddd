"""What page faults can have brought: real trees, whose memory is known, and settings of other machines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.proc import ProcessTree, ProcFiles
from oomguard.profiling.high_water import TreeFaults, largest_fault

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.formats.proc import ProcStat

MIB = 1 << 20
# A line on standard input makes it go on.
GRANDCHILD = """import os
print("ready", flush=True)
input()
if os.fork() == 0:
    if os.fork() == 0:
        held = bytearray(b"1") * (60 << 20)
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
print("done", flush=True)
input()
"""


def stats(tree: ProcessTree) -> list[ProcStat]:
    proc = ProcFiles()
    return [stat for pid in tree.pids() if (stat := proc.stat(pid)) is not None]


def fault_spike() -> tuple[int | None, int | None]:
    """What was filled at rest, and while a grandchild held 60 MiB for a moment: in bytes."""
    with subprocess.Popen([sys.executable, "-c", GRANDCHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        faults, tree = TreeFaults(), ProcessTree(program.pid)
        faults.filled(stats(tree))
        time.sleep(0.05)
        at_rest = faults.filled(stats(tree))
        program.stdin.write(b"\n")
        program.stdin.flush()
        assert program.stdout.readline() == b"done\n"
        spike = faults.filled(stats(tree))
        program.communicate(b"\n")
    return at_rest, spike


def test_a_process_that_came_and_went_is_in_its_parent_s_number() -> None:
    """Never less than what it held. The kernel counts huge pages for the whole machine: what others fill comes on top."""
    least_at_rest = least_spike = sys.maxsize
    for _ in range(10):
        at_rest, spike = fault_spike()
        assert at_rest is not None
        assert spike is not None
        assert spike >= 60 * MIB
        least_at_rest, least_spike = min(least_at_rest, at_rest), min(least_spike, spike)
        if least_at_rest < 4 * MIB and least_spike < 90 * MIB:
            return
    raise AssertionError((least_at_rest, least_spike))


def test_what_nobody_waits_for_is_not_known() -> None:
    """A child of a process that ignores SIGCHLD takes its count along, also when it keeps appearing and disappearing between two looks."""
    text = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nprint('ready', flush=True)\ninput()\n"
    with subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        assert TreeFaults().filled(stats(ProcessTree(program.pid))) is None
        program.communicate(b"\n")


@pytest.mark.parametrize(
    ("top", "sizes", "largest"),
    [
        ("always [madvise] never", {"2048kB": "always [inherit] madvise never"}, 4096),
        ("always [madvise] never", {"64kB": "always [inherit] madvise never"}, 65536),
        ("always madvise [never]", {"64kB": "always [inherit] madvise never"}, 4096),
        ("always madvise [never]", {"64kB": "[always] inherit madvise never", "16kB": "[always] never"}, 65536),
        ("", {}, 4096),
    ],
)
def test_the_largest_fault_is_that_of_the_machine_s_settings(
    tmp_path: Path, top: str, sizes: dict[str, str], largest: int
) -> None:
    folder = tmp_path / "sys/kernel/mm/transparent_hugepage"
    folder.mkdir(parents=True)
    (folder / "enabled").write_text(top)
    for size, setting in sizes.items():
        (folder / f"hugepages-{size}").mkdir()
        (folder / f"hugepages-{size}/enabled").write_text(setting)
    assert largest_fault(tmp_path) == max(largest, os.sysconf("SC_PAGESIZE"))
