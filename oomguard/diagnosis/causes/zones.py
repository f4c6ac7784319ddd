"""Whether the memory that was free could have served the request: zones, watermarks, free blocks, migrate types.

Source: Linux mm/page_alloc.c, __zone_watermark_ok() and fallbacks[]; include/linux/gfp_types.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OomEvent, Zone

_HIGH_ZONES = frozenset({"HighMem", "Movable"})
# Which entry of lowmem_reserve[] holds what a zone keeps back from requests that could use up to Normal memory.
_NORMAL_ENTRY = {3: 1, 4: 1, 5: 2}
_GFP_DMA, _GFP_HIGHMEM, _GFP_DMA32 = 0x01, 0x02, 0x04  # the same bits in every kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The zones that the request could use, as the kernel checked them. Sizes in bytes."""

    usable: tuple[Zone, ...]
    unusable: tuple[Zone, ...]
    below_min: bool  # each usable zone is below what it must keep
    short: bool  # or hardly above: the counters are printed after the decision, while pages come and go
    free_usable: int  # without what is kept for movable pages (CMA)
    free_unusable: int  # free in zones that the request could not use
    block_free: bool | None  # a free block large enough that the request could take; None: not told


def judge_zones(event: OomEvent) -> Pressure | None:
    """Look at the zones with the request's eyes. None: the report has none."""
    mem_info = event.mem_info
    zones = tuple(zone for zone in mem_info.zones if zone.free is not None and zone.min is not None) if mem_info else ()
    if not zones:
        return None
    usable = tuple(zone for zone in zones if zone.name in _allowed(event, {zone.name for zone in zones}))
    movable = "MOVABLE" in (event.gfp_flags or "")
    free_usable = sum(_free(zone, movable=movable) for zone in usable)
    page = event.page_size or 4096
    return Pressure(
        usable=usable,
        unusable=tuple(zone for zone in zones if zone not in usable),
        below_min=all(_lacks(zone, page, 1.0, movable=movable, high=_may_use_high(event)) for zone in usable),
        short=all(_lacks(zone, page, 1.1, movable=movable, high=_may_use_high(event)) for zone in usable),
        free_usable=free_usable,
        free_unusable=sum(zone.free or 0 for zone in zones) - sum(zone.free or 0 for zone in usable),
        block_free=_has_block(event, usable, page, movable=movable),
    )


def _may_use_high(event: OomEvent) -> bool:
    if event.gfp_flags:
        return "HIGHUSER" in event.gfp_flags or "__GFP_HIGHMEM" in event.gfp_flags
    return event.gfp_mask is None or bool(event.gfp_mask & _GFP_HIGHMEM)


def _allowed(event: OomEvent, names: set[str]) -> set[str]:
    flags, mask = event.gfp_flags or "", event.gfp_mask or 0
    if "DMA32" in flags or (not flags and mask & _GFP_DMA32):
        return names & {"DMA", "DMA32"}
    if "GFP_DMA" in flags or (not flags and mask & _GFP_DMA):
        return names & {"DMA"}
    return names if _may_use_high(event) else names - _HIGH_ZONES


def _free(zone: Zone, *, movable: bool) -> int:
    return max(0, (zone.free or 0) - (0 if movable else zone.free_cma or 0))


def _lacks(zone: Zone, page: int, factor: float, *, movable: bool, high: bool) -> bool:
    entry = -1 if high else _NORMAL_ENTRY.get(len(zone.reserve), -1)
    reserve = max(zone.reserve, default=0) if high else zone.reserve[entry] if zone.reserve else 0
    return _free(zone, movable=movable) < factor * ((zone.min or 0) + reserve * page)


def _has_block(event: OomEvent, usable: tuple[Zone, ...], page: int, *, movable: bool) -> bool | None:
    order = event.order or 0
    if order <= 0 or not any(zone.free_blocks for zone in usable):
        return None
    for zone in usable:
        if (zone.free or 0) < (zone.min or 0):
            continue
        for size, count, types in zone.free_blocks:
            # C(MA) is for movable pages, H(ighatomic) for interrupts; before 3.19 no types are printed.
            takable = not types or set(types) - ({"H", "I"} if movable else {"C", "H", "I"})
            if count and size >= page << order and takable:
                return True
    return False
