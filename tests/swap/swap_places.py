"""A machine and a place that swap suits, to be changed in one thing by each test."""

from typing import Any

from oomguard.kernel.model import DiskFacts
from oomguard.swap.model import PlaceFacts, SwapMachine

GIB = 1 << 30
SSD = DiskFacts(name="nvme0n1", kind="nvme", bytes_per_second=2e9, measured=True)


def place(**changed: Any) -> PlaceFacts:
    facts: dict[str, Any] = {
        "path": "/data/oomguard.swap", "mount_point": "/data", "file_system": "ext4", "read_only": False,
        "free": 80 * GIB, "total": 100 * GIB, "disk": SSD, "existing": None, "symlink": None, "missing_folder": None,
        "foreign_folder": None,
    }  # fmt: skip
    return PlaceFacts(**{**facts, **changed})


def machine(**changed: Any) -> SwapMachine:
    facts: dict[str, Any] = {
        "kernel": (6, 1), "ram": 16 * GIB, "available": 12 * GIB, "limited_by": "this machine's free memory",
        "areas": (), "zswap": True, "swap_max": None, "swap_max_of": "", "container": None, "root_may_swapon": True,
        "missing_tools": (),
    }  # fmt: skip
    return SwapMachine(**{**facts, **changed})
