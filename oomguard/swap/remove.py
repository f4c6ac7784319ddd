"""Take swap away again: what oomguard made, or an area that is named. Planned, then done."""

from __future__ import annotations

import os
import shlex
import stat
import time
from dataclasses import replace
from pathlib import Path

from oomguard.errors import NothingFound, SwapRefused, edge
from oomguard.formats.proc import SwapArea, find_area
from oomguard.kernel.process import stoppable
from oomguard.swap.model import RemovedArea, SwapRemoval
from oomguard.swap.system.area import SwapEvents, is_its_file, remove_area, remove_foreign_area
from oomguard.swap.system.facts import check_can_be_off, check_may_switch, hibernates_to_swap, read_swaps
from oomguard.swap.system.records import SwapRecord, has_line, is_left_over, locked_records, read_records


@edge
def plan_swap_removal(path: Path | None = None) -> SwapRemoval:
    """Decide what to remove: the area named, or (None) all that oomguard made and no command uses.

    Raises: NothingFound if there is none; SwapRefused if memory cannot take back what is swapped, or the area is
    used by a command or for hibernation.
    """
    records, areas = read_records(), read_swaps()
    if path is None:
        chosen = [record for record in records if record.until == "removed" or is_left_over(record)]
        if not chosen:
            raise NothingFound("there is no oomguard swap to remove", do="oomguard swap status")
        planned = tuple(_of_record(record, areas) for record in chosen)
    else:
        planned = (_named(os.path.abspath(path), records, areas),)  # noqa: PTH100 - links are not followed
    for area in planned:
        check_can_be_off(area.path)
    return SwapRemoval(areas=planned, done=False, as_root=os.geteuid() == 0)


def _named(path: str, records: list[SwapRecord], areas: list[SwapArea]) -> RemovedArea:
    own = next((record for record in records if record.path == path), None)
    if own is not None:
        if own.until == "command" and not is_left_over(own):
            raise SwapRefused(
                f"a command that oomguard started uses {path} (pid {own.maker_pid})",
                do=f"tail --pid={own.maker_pid} -f /dev/null  # waits until it ends",
            )
        return _of_record(own, areas)
    area = find_area(areas, path)
    if area is None:
        raise NothingFound(f'"{path}" is not a swap area that is on or that oomguard made', do="oomguard swap status")
    if area.kind == "file" and hibernates_to_swap():
        raise SwapRefused(
            f"oomguard did not make {path}, and this machine hibernates (resume= on the kernel's command line), "
            "perhaps to that file",
            do=f"sudo swapoff {shlex.quote(path)}  # if you know that it hibernates to another",
        )
    is_file = stat.S_ISREG(Path(path).lstat().st_mode) if os.path.lexists(path) else False
    return RemovedArea(
        path=path, size=area.size, used=area.used, on=True, by_oomguard=False,
        in_fstab=is_file and has_line(path), deletes=is_file,
    )  # fmt: skip


def _of_record(record: SwapRecord, areas: list[SwapArea]) -> RemovedArea:
    area = find_area(areas, record.path)
    return RemovedArea(
        path=record.path, size=record.size, used=area.used if area else 0, on=area is not None, by_oomguard=True,
        in_fstab=record.persist and has_line(record.path), deletes=is_its_file(record),
    )  # fmt: skip


@edge
def remove_swap(planned: SwapRemoval, *, events: SwapEvents | None = None) -> SwapRemoval:
    """Do what was planned: read back what is swapped, then the line in fstab, then the file.

    Raises: NeedsPrivilege without root; SwapFailed, SwapRefused or Stopped: the same call again resumes.
    """
    check_may_switch("switch swap off", "swap remove")
    began = time.monotonic()
    following = events or SwapEvents()
    with stoppable(following.stop_asked) as stop_asked, locked_records() as records:
        known = {record.path: record for record in records.all()}
        watched = replace(following, stop_asked=stop_asked)
        for area in planned.areas:
            if area.path in known:
                remove_area(known[area.path], records, events=watched)
            else:
                remove_foreign_area(area, events=watched)
    return replace(planned, done=True, wall_seconds=time.monotonic() - began)
