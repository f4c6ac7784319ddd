"""Take swap away again: what oomguard made, or an area that is named."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import replace
from pathlib import Path

from oomguard.errors import NeedsPrivilege, NothingFound, SwapRefused
from oomguard.formats.swaps import SwapArea, find_area
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.machine.headroom import read_headroom
from oomguard.kernel.process.stop_request import stoppable
from oomguard.swap.rules.removal import check_memory
from oomguard.swap.screens.change import RemovedArea, SwapRemoval
from oomguard.swap.system import file as swap_file
from oomguard.swap.system import fstab as fstab_file
from oomguard.swap.system import switch as swap_switch
from oomguard.swap.system.area import SwapEvents, is_its_file, remove_area
from oomguard.swap.system.facts import may_swapon, read_swaps
from oomguard.swap.system.records import SwapRecord, is_left_over, locked_records, read_records


def plan_swap_removal(path: Path | None = None) -> SwapRemoval:
    """Decide what goes: the area named, or (None) all that oomguard made and no command uses.

    Raises: NothingFound if there is none; SwapRefused if memory cannot take back what is swapped, or the area is
    used by a command or for hibernation.
    """
    records, areas = read_records(), read_swaps()
    if path is None:
        chosen = [record for record in records if record.until == "removed" or is_left_over(record)]
        if not chosen:
            raise NothingFound("oomguard has made no swap that could go", do="oomguard swap status shows what is on")
        planned = tuple(_of_record(record, areas) for record in chosen)
    else:
        planned = (_named(os.path.abspath(path), records, areas),)  # noqa: PTH100 - links are not followed
    available = read_headroom().machine_available
    for area in planned:
        check_memory(area.path, areas, available)
    return SwapRemoval(areas=planned, done=False, as_root=os.geteuid() == 0)


def remove_swap(planned: SwapRemoval, *, events: SwapEvents | None = None) -> SwapRemoval:
    """Do what was planned: read back what is swapped, then the line in fstab, then the file.

    Raises: NeedsPrivilege without root; SwapFailed, SwapRefused or Stopped: the same call again goes on.
    """
    if os.geteuid() != 0 or not may_swapon():
        raise NeedsPrivilege("only root can switch swap off", do="sudo oomguard swap remove")
    began = time.monotonic()
    following = events or SwapEvents()
    with stoppable(following.stop_asked) as stop_asked, locked_records() as records:
        known = {record.path: record for record in records.all()}
        watched = replace(following, stop_asked=stop_asked)
        for area in planned.areas:
            if area.path in known:
                remove_area(known[area.path], records, events=watched)
            else:
                _remove_foreign(area, watched)
    return replace(planned, done=True, wall_seconds=time.monotonic() - began)


def _named(path: str, records: list[SwapRecord], areas: list[SwapArea]) -> RemovedArea:
    own = next((record for record in records if record.path == path), None)
    if own is not None:
        if own.until == "command" and not is_left_over(own):
            raise SwapRefused(
                f"a command that oomguard started uses {path} (pid {own.maker_pid})", do="it goes when the command ends"
            )
        return _of_record(own, areas)
    area = find_area(areas, path)
    if area is None:
        raise NothingFound(f'"{path}" is no swap area that is on or that oomguard made', do="oomguard swap status")
    if area.kind == "file" and "resume" in (read_kernel_text(Path("/proc/cmdline")) or ""):
        raise SwapRefused(
            f"oomguard did not make {path}, and this machine hibernates (resume= on the kernel's command line), "
            "perhaps to that file",
            do=f"swapoff {path}, if you know that it is another",
        )
    is_file = stat.S_ISREG(Path(path).lstat().st_mode) if os.path.lexists(path) else False
    return RemovedArea(
        path=path, size=area.size, used=area.used, on=True, by_oomguard=False,
        in_fstab=is_file and fstab_file.has_line(path), deletes=is_file,
    )  # fmt: skip


def _of_record(record: SwapRecord, areas: list[SwapArea]) -> RemovedArea:
    area = find_area(areas, record.path)
    return RemovedArea(
        path=record.path, size=record.size, used=area.used if area else 0, on=area is not None, by_oomguard=True,
        in_fstab=record.persist and fstab_file.has_line(record.path), deletes=is_its_file(record),
    )  # fmt: skip


def _remove_foreign(area: RemovedArea, events: SwapEvents) -> None:
    check_memory(area.path, read_swaps(), read_headroom().machine_available)
    swap_switch.switch_off(
        area.path,
        on_progress=lambda done, total: events.on_progress("reading back what is swapped", done, total),
        stop_asked=events.stop_asked,
    )
    if area.in_fstab:
        fstab_file.remove_swap_line(area.path)
    if area.deletes:
        swap_file.remove_file(area.path)
