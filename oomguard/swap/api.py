"""`oomguard swap`: what may be asked of it. Planned, shown, and only then done."""

from oomguard.errors import edge
from oomguard.swap.changes import add_swap, plan_swap_removal, remove_swap, run_with_swap, temporary_swap
from oomguard.swap.model import SwapOptions
from oomguard.swap.plan import plan_swap as _plan_swap
from oomguard.swap.status import swap_status as _swap_status
from oomguard.swap.system.area import SwapEvents

plan_swap = edge(_plan_swap)
swap_status = edge(_swap_status)

__all__ = [
    "SwapEvents",
    "SwapOptions",
    "add_swap",
    "plan_swap",
    "plan_swap_removal",
    "remove_swap",
    "run_with_swap",
    "swap_status",
    "temporary_swap",
]
