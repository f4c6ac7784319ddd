"""What people see of swap, on a machine that never changes. `pytest --update-screens` rewrites tests/screens."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from oomguard.cli.showing import screen
from oomguard.formats.proc import Pressure, SwapArea
from oomguard.kernel.model import DiskFacts
from oomguard.swap.model import (
    AreaStatus,
    CompressedSwap,
    RemovedArea,
    SwapAdded,
    SwapHolder,
    SwapRemoval,
    SwapSpeed,
    SwapStatus,
)
from oomguard.swap.rules.plan import no_swap_needed, plan_swap_file
from oomguard.swap.screens import render_added, render_plan, render_removal, render_status
from tests.swap.swap_places import GIB, machine, place

Check = Callable[[str, str], None]

HOSTILE = ["\x1b]0;owned\x07", "[bold red]x[/]", "a\nb", "\u202egnp", "\udcff"]
ZRAM = SwapArea(path="/dev/zram0", kind="partition", size=8 * GIB, used=0, priority=100)
HDD = DiskFacts(name="sda", kind="hdd", bytes_per_second=1e8, measured=False)
PLAN = plan_swap_file(place(), machine(), 64 * GIB, priority=10, persist=True)
STATUS = SwapStatus(
    areas=(
        AreaStatus(path="/dev/zram0", kind="zram", size=8 * GIB, used=2 * GIB, priority=100, made_by_oomguard=False, state="on"),
        AreaStatus(path="/data/oomguard.swap", kind="file", size=64 * GIB, used=31 * GIB, priority=-2, made_by_oomguard=True, state="command"),
        AreaStatus(path="/old.swap", kind="file", size=GIB, used=0, priority=None, made_by_oomguard=True, state="left over"),
    ),
    holders=(SwapHolder(pid=4711, name="python", uid=1000, swap=30 * GIB), SwapHolder(pid=1, name="systemd", uid=0, swap=GIB // 4)),
    hidden_processes=False,
    speed=SwapSpeed(read=3 << 20, written=410 << 20),
    compressed=(CompressedSwap(name="zram0", holds=2 * GIB, takes=GIB // 2),),
    zswap=False,
    pressure=Pressure(some_10s=0.31, some_60s=0.1, full_10s=0.2, full_60s=0.05),
    available=3 * GIB,
)  # fmt: skip
ADDED = SwapAdded(
    path="/data/oomguard.swap",
    size=64 * GIB,
    priority=10,
    persist=False,
    wall_seconds=1.3,
    swap_total=72 * GIB,
    available=3 * GIB,
)
AREA = RemovedArea(
    path="/data/oomguard.swap", size=64 * GIB, used=2 * GIB, on=True, by_oomguard=True, in_fstab=True, deletes=True
)
REMOVAL = SwapRemoval(
    areas=(AREA, replace(AREA, path="/dev/sda3", by_oomguard=False, in_fstab=False, deletes=False)),
    done=False,
    as_root=False,
)


def test_screens(check_screen: Check) -> None:
    check_screen("swap-plan.txt", screen(render_plan(PLAN)))
    worse = plan_swap_file(
        place(disk=HDD, file_system="btrfs", new_subvolume="/data/oomguard-swap", path="/data/oomguard-swap/oomguard.swap"),
        machine(areas=(ZRAM,), swap_max=0, swap_max_of="cgroup /user.slice", zswap=False),
        40 * GIB, because="the profile predicts 50.0 GiB for the whole input", peak=50 * GIB, as_root=False,
    )  # fmt: skip
    check_screen("swap-plan-concerns.txt", screen(render_plan(worse)))
    check_screen(
        "swap-not-needed.txt",
        screen(render_plan(no_swap_needed("the run needed 3.0 GiB, and 12.0 GiB is available", as_root=True))),
    )
    check_screen("swap-added.txt", screen(render_added(ADDED)))
    check_screen("swap-status.txt", screen(render_status(STATUS)))
    check_screen(
        "swap-status-none.txt",
        screen(render_status(replace(STATUS, areas=(), holders=(), compressed=(), pressure=None))),
    )
    check_screen("swap-remove.txt", screen(render_removal(REMOVAL)))
    check_screen("swap-removed.txt", screen(render_removal(replace(REMOVAL, done=True))))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_are_neither_markup_nor_escapes(hostile: str) -> None:
    """A process, a folder or a cgroup may be called anything."""
    area = replace(STATUS.areas[0], path=f"/{hostile}")
    cases: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
        (plan_swap_file(place(path=f"/{hostile}", mount_point=f"/{hostile}"), machine(swap_max=0, swap_max_of=f"cgroup /{hostile}"), GIB, persist=True), render_plan),
        (replace(STATUS, areas=(area,), holders=(SwapHolder(pid=1, name=hostile, uid=0, swap=GIB),)), render_status),
        (replace(REMOVAL, areas=(replace(AREA, path=f"/{hostile}"),)), render_removal),
        (replace(ADDED, path=f"/{hostile}"), render_added),
    )  # fmt: skip
    for result, render in cases:
        shown = screen(render(result))
        assert not set("\x1b\x07\u202e") & set(shown)
        assert "a\nb" not in shown
        assert hostile != "[bold red]x[/]" or "[bold red]" in shown
        json.dumps(result.to_json())


def test_json_keeps_its_promise() -> None:
    """Keys and types change only with the schema's number."""
    for result, schema, keys in (
        (PLAN, "swap_plan", {"size", "path", "helps", "commands", "concerns", "fstab_line", "write_seconds", "place"}),
        (ADDED, "swap_added", {"path", "size", "priority", "persist", "command", "exit_code", "removed"}),
        (STATUS, "swap_status", {"areas", "holders", "speed", "compressed", "zswap", "pressure", "available"}),
        (REMOVAL, "swap_removal", {"areas", "done", "commands"}),
    ):
        shown = json.loads(json.dumps(result.to_json()))
        assert shown["schema"] == f"oomguard.{schema}/1"
        assert keys <= shown.keys()
    assert PLAN.to_json()["size"] == 64 * GIB
