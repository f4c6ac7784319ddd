"""Data preparation that the kernel's OOM killer cannot end.

    >>> import oomguard
    >>> shards = oomguard.prepare(oomguard.PrepareOptions(inputs=("train.txt",)), max_rss=512 << 20)

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oomguard.preparing import PrepareEvents, PrepareOptions, plan_prepare, prepare

__all__ = ["PrepareEvents", "PrepareOptions", "plan_prepare", "prepare"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from oomguard import preparing

        return getattr(preparing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
