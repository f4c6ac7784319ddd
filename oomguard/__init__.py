"""Data preparation that the kernel's OOM killer cannot end.

    >>> import oomguard
    >>> shards = oomguard.prepare(oomguard.PrepareOptions(inputs=("train.txt",)), max_rss=512 << 20)

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oomguard.checking import check_script
    from oomguard.diagnosing import diagnose
    from oomguard.doctoring import doctor
    from oomguard.estimating import plan
    from oomguard.preparing import PrepareEvents, PrepareOptions, plan_prepare, prepare
    from oomguard.releasing import release
    from oomguard.removing_swap import plan_swap_removal, remove_swap
    from oomguard.results.run_outcome import RunOutcome
    from oomguard.running import budget, run
    from oomguard.stages import stage
    from oomguard.swapping import SwapEvents, SwapOptions, add_swap, plan_swap, run_with_swap, temporary_swap
    from oomguard.watching_swap import swap_status

__all__ = [
    "PrepareEvents",
    "PrepareOptions",
    "RunOutcome",
    "SwapEvents",
    "SwapOptions",
    "add_swap",
    "budget",
    "check_script",
    "diagnose",
    "doctor",
    "plan",
    "plan_prepare",
    "plan_swap",
    "plan_swap_removal",
    "prepare",
    "release",
    "remove_swap",
    "run",
    "run_with_swap",
    "stage",
    "swap_status",
    "temporary_swap",
]

_HOMES = {  # each public name's module, imported when the name is first used
    "PrepareEvents": "oomguard.preparing",
    "PrepareOptions": "oomguard.preparing",
    "RunOutcome": "oomguard.results.run_outcome",
    "SwapEvents": "oomguard.swapping",
    "SwapOptions": "oomguard.swapping",
    "add_swap": "oomguard.swapping",
    "budget": "oomguard.running",
    "check_script": "oomguard.checking",
    "diagnose": "oomguard.diagnosing",
    "doctor": "oomguard.doctoring",
    "plan": "oomguard.estimating",
    "plan_prepare": "oomguard.preparing",
    "plan_swap": "oomguard.swapping",
    "plan_swap_removal": "oomguard.removing_swap",
    "prepare": "oomguard.preparing",
    "release": "oomguard.releasing",
    "remove_swap": "oomguard.removing_swap",
    "run": "oomguard.running",
    "run_with_swap": "oomguard.swapping",
    "stage": "oomguard.stages",
    "swap_status": "oomguard.watching_swap",
    "temporary_swap": "oomguard.swapping",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
