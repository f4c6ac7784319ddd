"""The state of swap: which areas, how full, by whom, how fast."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from oomguard.formats.cgroup import parse_count
from oomguard.formats.proc import find_area, parse_pressure, parse_sizes, parse_status_memory
from oomguard.kernel.cgroup.directory import read_kernel_text
from oomguard.kernel.machine import read_headroom
from oomguard.swap.model import AreaStatus, CompressedSwap, SwapHolder, SwapSpeed, SwapStatus
from oomguard.swap.system.facts import read_swaps, read_zswap
from oomguard.swap.system.records import is_left_over, read_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.proc import SwapArea
    from oomguard.swap.system.records import SwapRecord


# Whose memory is swapped out, and how fast pages move now.

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_NAME = re.compile(r"^Name:\t(.*)$", re.MULTILINE)
_UID = re.compile(r"^Uid:\t([0-9]{1,10})", re.MULTILINE)


def swap_holders(root: Path = Path("/")) -> list[SwapHolder]:
    """Every process that has memory swapped out, the largest first.

    A page that several share counts for each. tmpfs files and shared memory are in no process's account.
    """
    holders = []
    for folder in (root / "proc").iterdir():
        if not folder.name.isdecimal():
            continue
        status = read_kernel_text(folder / "status") or ""
        swap = parse_status_memory(status).swap
        if swap:
            name, uid = _NAME.search(status), _UID.search(status)
            holders.append(
                SwapHolder(
                    pid=int(folder.name), name=name[1] if name else "", uid=int(uid[1]) if uid else None, swap=swap
                )
            )
    return sorted(holders, key=lambda holder: (-holder.swap, holder.pid))


def swap_speed(
    *, seconds: float = 0.5, root: Path = Path("/"), sleep: Callable[[float], None] = time.sleep
) -> SwapSpeed | None:
    """Count for `seconds` how much is swapped in and out. None: the kernel does not say."""
    before, began = _swapped(root), time.monotonic()
    sleep(seconds)
    after, passed = _swapped(root), max(time.monotonic() - began, 1e-6)
    if before is None or after is None:
        return None
    read, written = (max(0, late - early) * _PAGE_SIZE / passed for early, late in zip(before, after, strict=True))
    return SwapSpeed(read=read, written=written)


def compressed_swap(root: Path = Path("/")) -> list[CompressedSwap]:
    """What zswap and each zram in use hold: pages as they were, and what they take in memory. Units: bytes.

    Source: Linux Documentation/admin-guide/blockdev/zram.rst (mm_stat: orig_data_size compr_data_size
    mem_used_total ...); fs/proc/meminfo.c (Zswap, Zswapped; since 5.19).
    """
    found = []
    sizes = parse_sizes(read_kernel_text(root / "proc/meminfo") or "")
    if sizes.get("Zswapped"):
        found.append(CompressedSwap(name="zswap", holds=sizes["Zswapped"], takes=sizes.get("Zswap", 0)))
    block = root / "sys/block"
    for folder in sorted(block.glob("zram*")) if block.is_dir() else []:
        fields = (read_kernel_text(folder / "mm_stat") or "").split()
        if len(fields) > 2 and all(field.isdecimal() for field in fields[:3]) and int(fields[0]):
            found.append(CompressedSwap(name=folder.name, holds=int(fields[0]), takes=int(fields[2])))
    return found


def _swapped(root: Path) -> tuple[int, int] | None:
    text = read_kernel_text(root / "proc/vmstat") or ""
    read, written = parse_count(text, "pswpin"), parse_count(text, "pswpout")
    return None if read is None or written is None else (read, written)


def swap_status(*, seconds: float = 0.5, root: Path = Path("/")) -> SwapStatus:
    """Read the state of swap, counting for `seconds` how fast it moves. Needs no privilege, and changes nothing.

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
