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
    from oomguard.estimating import plan
    from oomguard.preparing import PrepareEvents, PrepareOptions, plan_prepare, prepare

__all__ = ["PrepareEvents", "PrepareOptions", "check_script", "plan", "plan_prepare", "prepare"]

_HOMES = {  # each public name's module, imported when the name is first used
    "PrepareEvents": "oomguard.preparing",
    "PrepareOptions": "oomguard.preparing",
    "check_script": "oomguard.checking",
    "plan": "oomguard.estimating",
    "plan_prepare": "oomguard.preparing",
    "prepare": "oomguard.preparing",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
