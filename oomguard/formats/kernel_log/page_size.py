"""The page size of the machine that wrote a report: counted in pages, most of it means nothing without."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.formats.kernel_log.mem_info import MemInfoReader
    from oomguard.formats.kernel_log.records import Victim
    from oomguard.formats.kernel_log.task_table import TaskTableReader

_SIZES = tuple(KIB << power for power in range(2, 9))  # 4 KiB to 256 KiB: what Linux has been built with
_BIG_PAGE = 64 * KIB


def infer_page_size(
    mem_info: MemInfoReader, tasks: TaskTableReader, victims: Iterable[Victim]
) -> tuple[int | None, str | None]:
    """Find the page size and say what from. (None, None): nothing in the report tells, and 4 KiB is likely.

    Never the size of the machine that reads the log.
    """
    if mem_info.first_block in _SIZES:
        return mem_info.first_block, "the smallest free block"
    for victim in victims:
        row = tasks.row_of(victim.pid)
        if row is not None and row.total_vm > 0 and victim.total_vm:
            size, rest = divmod(victim.total_vm, row.total_vm)
            if not rest and size in _SIZES:
                return size, f"total-vm of pid {victim.pid}, in kB and in pages"
    managed = mem_info.zones_managed()
    if managed and mem_info.ram_pages and mem_info.reserved_pages is not None:
        pages = mem_info.ram_pages - mem_info.reserved_pages
        near = [size for size in _SIZES if pages > 0 and 0.9 < managed / (pages * size) < 1.1]
        if near:
            return near[0], "what the zones manage, in kB and in pages"
    if len(tasks.pgtables_gcd_of) >= 3 and math.gcd(*tasks.pgtables_gcd_of) >= _BIG_PAGE:
        return _BIG_PAGE, "the sizes of page tables"
    return None, None
