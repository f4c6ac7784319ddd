"""Data preparation that the kernel's OOM killer cannot end.

    >>> import oomguard
    >>> shards = oomguard.prepare(oomguard.PrepareOptions(inputs=("train.txt",)), max_rss=512 << 20)

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oomguard.diagnosing import diagnose
    from oomguard.doctoring import doctor
    from oomguard.preparing import PrepareEvents, PrepareOptions, plan_prepare, prepare
    from oomguard.removing_swap import plan_swap_removal, remove_swap
    from oomguard.swapping import SwapEvents, SwapOptions, add_swap, plan_swap, run_with_swap, temporary_swap
    from oomguard.watching_swap import swap_status

__all__ = [
    "PrepareEvents",
    "PrepareOptions",
    "SwapEvents",
    "SwapOptions",
    "add_swap",
    "diagnose",
    "doctor",
    "plan_prepare",
    "plan_swap",
    "plan_swap_removal",
    "prepare",
    "remove_swap",
    "run_with_swap",
    "swap_status",
    "temporary_swap",
]

_HOMES = {  # each public name's module, imported when the name is first used
    "PrepareEvents": "oomguard.preparing",
    "PrepareOptions": "oomguard.preparing",
    "SwapEvents": "oomguard.swapping",
    "SwapOptions": "oomguard.swapping",
    "add_swap": "oomguard.swapping",
    "diagnose": "oomguard.diagnosing",
    "doctor": "oomguard.doctoring",
    "plan_prepare": "oomguard.preparing",
    "plan_swap": "oomguard.swapping",
    "plan_swap_removal": "oomguard.removing_swap",
    "prepare": "oomguard.preparing",
    "remove_swap": "oomguard.removing_swap",
    "run_with_swap": "oomguard.swapping",
    "swap_status": "oomguard.watching_swap",
    "temporary_swap": "oomguard.swapping",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
