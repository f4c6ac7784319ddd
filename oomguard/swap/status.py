"""The state of swap: which areas, how full, by whom, how fast."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from oomguard.formats.meminfo import find_area, parse_pressure
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.machine import read_headroom
from oomguard.swap.model import AreaStatus, SwapStatus
from oomguard.swap.system.facts import read_swaps, read_zswap
from oomguard.swap.system.holders import compressed_swap, swap_holders, swap_speed
from oomguard.swap.system.records import is_left_over, read_records

if TYPE_CHECKING:
    from oomguard.formats.meminfo import SwapArea
    from oomguard.swap.system.records import SwapRecord


def swap_status(*, seconds: float = 0.5, root: Path = Path("/")) -> SwapStatus:
    """Read the state of swap, counting for `seconds` how fast it moves. Needs no right, and changes nothing.

    Raises: NothingFound if /proc/meminfo does not say how much memory is available.
    """
    areas, records = read_swaps(root), read_records(root)
    own = {record.path: record for record in records}
    listed = [_on(area, own.get(area.path), root) for area in areas]
    listed += [_off(record, root) for record in records if find_area(areas, record.path) is None]
    return SwapStatus(
        areas=tuple(listed),
        holders=tuple(swap_holders(root)),
        hidden_processes=os.geteuid() != 0,
        speed=swap_speed(seconds=seconds, root=root),
        compressed=tuple(compressed_swap(root)),
        zswap=read_zswap(root),
        pressure=parse_pressure(read_kernel_text(root / "proc/pressure/memory") or ""),
        available=read_headroom(root).machine_available,
    )


def _on(area: SwapArea, record: SwapRecord | None, root: Path) -> AreaStatus:
    state: Literal["on", "command", "left over"] = "on"
    if record is not None and record.until == "command":
        state = "left over" if is_left_over(record, root) else "command"
    return AreaStatus(
        path=area.path,
        kind="zram" if area.is_zram else area.kind,
        size=area.size,
        used=area.used,
        priority=area.priority,
        made_by_oomguard=record is not None,
        state=state,
    )


def _off(record: SwapRecord, root: Path) -> AreaStatus:
    area = AreaStatus(
        path=record.path, kind="file", size=record.size, used=0, priority=None, made_by_oomguard=True, state="off"
    )
    return replace(area, state="left over") if is_left_over(record, root) else area
