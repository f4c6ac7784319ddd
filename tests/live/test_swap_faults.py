"""Swap after a fault at each of its steps: undone, or found and cleaned by the next call."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.live.disks import disk, shell
from tests.live.swap_areas import MIB, areas, environment, listing, python
from tests.running import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("machine_is_as_before")]

FAULTS = """
import os, sys, time
from pathlib import Path
from oomguard.swap.system import file as swap_file
from oomguard.swap.system import switch as swap_switch
from oomguard.swap.system.area import SwapEvents, make_area
from oomguard.swap.system.records import locked_records
from oomguard.errors import OomguardError
from oomguard.kernel.process import stop_on_signals
from oomguard.swap.system.file import read_place
from oomguard.swap.system.facts import read_swap_machine
from oomguard.swap.rules.plan import plan_swap_file
path, root, fault, at = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
plan = plan_swap_file(read_place(Path(path), measure=False), read_swap_machine(), 32 << 20, persist=True)
seen = []
def step(step):
    seen.append(step.kind)
    if len(seen) == at:
        print(step.kind, flush=True)
        if fault in ("stop", "kill"):
            sys.stdin.readline()
if fault == "missing":
    swap_switch.system_tool = lambda name: None
if fault == "full":
    space = os.statvfs(Path(path).parent)
    with open(Path(path).parent / "hog", "wb") as hog:
        os.posix_fallocate(hog.fileno(), 0, space.f_bavail * space.f_frsize - (16 << 20))
if fault == "holes":
    swap_file.allocate = lambda fd, size: os.truncate(fd, size) or True
if fault == "copied":
    swap_file.set_no_copy_on_write = lambda fd, path: None
notes = []
try:
    with stop_on_signals() as asked, locked_records(root) as records:
        make_area(plan, records, until="removed", root=root,
            events=SwapEvents(on_step=step, on_note=notes.append, stop_asked=asked))
    print("made", notes)
except OomguardError as error:
    print(type(error).__name__, error)
"""
CLEAN = """
import sys
from pathlib import Path
from oomguard.swap.system.area import SwapEvents, remove_left_over
from oomguard.swap.system.records import locked_records
with locked_records(Path(sys.argv[1])) as records:
    print(remove_left_over(records, root=Path(sys.argv[1]), events=SwapEvents()))
"""


@pytest.fixture
def fake_root(tmp_path: Path) -> Path:
    """The machine, with an fstab and records of the test's own."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/fstab").write_text("# ours\nUUID=1 / ext4 defaults 0 1\n")
    for name in ("proc", "sys", "dev"):
        (root / name).symlink_to(f"/{name}")
    return root


def state_of(mounted: Path, root: Path) -> tuple[list[str], str, list[str], dict[str, int]]:
    records = [path for path in listing(root / "var/lib") if path.endswith(".json")]
    return listing(mounted), (root / "etc/fstab").read_text(), records, areas()


@pytest.mark.parametrize("kind", ["ext4", "btrfs"])
def test_stopped_or_killed_at_any_step_nothing_stays(tmp_path: Path, fake_root: Path, kind: str) -> None:
    """SIGINT: undone at once. SIGKILL: found and cleaned by the next call."""
    with disk(tmp_path / "disk", kind) as mounted:
        before = state_of(mounted, fake_root)
        path = mounted / "new/swap" if kind == "btrfs" else mounted / "swap"
        steps = []
        for at in range(1, 20):
            for fault, number in (("stop", signal.SIGINT), ("kill", signal.SIGKILL)):
                with python(FAULTS, path, fake_root, fault, at, stdin=subprocess.PIPE) as run:
                    assert run.stdout is not None
                    said = run.stdout.readline()
                    if not said.startswith("made"):
                        steps.append(said.strip())
                        run.send_signal(number)
                        time.sleep(0.02)
                    said += run.communicate("\n")[0]
                if "made" in said:
                    assert python(CLEAN, fake_root).communicate()[0] == "[]\n"  # what is in use stays
                    assert str(path) in areas()
                    assert f"{path} none swap nofail 0 0\n" in (fake_root / "etc/fstab").read_text()
                    undo = CLEAN.replace(
                        "remove_left_over(records, ",
                        "[__import__('oomguard.swap.system.area').swap.system.area.remove_area(r, records, ",
                    ).replace("events=SwapEvents())", "events=SwapEvents()) for r in records.all()]")
                    assert python(undo, fake_root).communicate()[0] == "[None]\n"
                    assert state_of(mounted, fake_root) == before
                    continue
                if fault == "stop":
                    assert "Stopped SIGINT" in said
                else:
                    assert state_of(mounted, fake_root)[2] != before[2]
                    assert python(CLEAN, fake_root).communicate()[0] == f"['{path}']\n"
                assert state_of(mounted, fake_root) == before, (fault, steps[-1])
            if "made" in said:
                break
        wanted = ["create", "mode", "allocate", "format", "enable", "verify", "backup", "fstab"]
        assert [step for step in dict.fromkeys(steps) if step in wanted] == wanted
        assert kind != "btrfs" or {"subvolume", "no_copy_on_write"} <= set(steps)


@pytest.mark.parametrize(
    ("kind", "fault", "words"),
    [
        ("ext4", "full", "No space left on device"),
        ("xfs", "missing", "mkswap not found"),
        ("btrfs", "copied", "copy on write"),
    ],
)
def test_a_step_that_fails_is_explained_and_undone(
    tmp_path: Path, fake_root: Path, kind: str, fault: str, words: str
) -> None:
    with disk(tmp_path / "disk", kind) as mounted:
        before = state_of(mounted, fake_root)
        said, wrong = python(FAULTS, mounted / "swap", fake_root, fault, 99).communicate()
        assert "SwapFailed" in said, wrong
        assert words in said
        (mounted / "hog").unlink(missing_ok=True)
        assert state_of(mounted, fake_root) == before


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_where_the_kernel_sees_holes_zeros_are_written(tmp_path: Path, fake_root: Path, kind: str) -> None:
    """As Linux 5.7 did with every file that was only allocated."""
    with disk(tmp_path / "disk", kind) as mounted:
        said, wrong = python(FAULTS, mounted / "swap", fake_root, "holes", 99).communicate()
        assert "made ['the kernel refuses the file as fallocate made it" in said, said + wrong
        assert str(mounted / "swap") in areas()
        shell("swapoff", mounted / "swap")


def test_ctrl_c_while_zeros_are_written(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "ext3", size="1G") as mounted:
        files = listing(mounted)
        line = ["swap", "--size", "800M", "--path", str(mounted / "swap"), "--yes"]
        with subprocess.Popen(
            [sys.executable, "-m", "oomguard", *line], stderr=subprocess.PIPE, text=True, env=environment()
        ) as run:
            wait_until(lambda: (mounted / "swap").exists() and (mounted / "swap").stat().st_size > 8 * MIB)
            run.send_signal(signal.SIGINT)
            said = run.communicate()[1]
        assert run.returncode == 130
        assert "stopped: SIGINT; nothing of" in said
        assert listing(mounted) == files
