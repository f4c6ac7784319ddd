"""Set the limits of a new memory cgroup, and read them back: only what the kernel repeats counts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.proc import parse_meminfo
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import find_own_cgroup, find_own_memcg, read_kernel_text
from oomguard.kernel.cgroup.refusals import LimitDidNotStick
from oomguard.kernel.model import SUPERVISOR_MEMORY, LimitAbove

if TYPE_CHECKING:
    from oomguard.kernel.cgroup.directory import MemcgDir

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

_V2_NO_SWAP_LIMIT = "this kernel cannot limit swap (no memory.swap.max): where swap is on, the job may swap"
_V1_NO_SWAP_LIMIT = (
    "this kernel cannot limit swap (it needs the boot option swapaccount=1): "
    "the job may swap when the whole machine is short of memory"
)


def set_limits(memcg: MemcgDir, memory_max: int, *, swap_max: int | None, left: tuple[MemcgDir, ...]) -> list[str]:
    """Limit `memcg` to `memory_max` bytes, or to less where a cgroup in `left` had less. Gives the caveats.

    `left` are the cgroups whose limits the process leaves behind when it moves into `memcg`. `swap_max`: how
    much may be swapped out beside that; None: no limit.
    Raises: OSError as the kernel answers; LimitDidNotStick if it reads back something else.
    """
    limit = min([memory_max, *(max_ for above in left if (max_ := above.memory_max()) is not None)])
    stuck = set_memory_max(memcg, limit)
    if memcg.version == 2:
        caveats = _set_v2(memcg, swap_max=swap_max, left=left)
    else:
        caveats = _set_v1(memcg, stuck, swap_max=swap_max)
    if swap_max == 0 and memcg.has_swap_accounting() and memcg.swap_max() != 0:
        raise LimitDidNotStick("swap was closed for", memcg.path, 0, memcg.swap_max())
    return caveats


def set_memory_max(memcg: MemcgDir, limit: int) -> int:
    """Set the hard limit alone, and give what the kernel made of it: whole pages.

    Raises: OSError as the kernel answers; LimitDidNotStick if it reads back something else.
    """
    cgroup_files.write_setting(memcg.path, "memory.max" if memcg.version == 2 else "memory.limit_in_bytes", limit)
    stuck = memcg.memory_max()
    if stuck is None or not limit - PAGE_SIZE < stuck <= limit:  # the kernel rounds down to whole pages
        raise LimitDidNotStick("the memory limit was set for", memcg.path, limit, stuck)
    return stuck


def lowest_limit(memcg: MemcgDir) -> tuple[int | None, str]:
    """The lowest limit that holds in `memcg`, its own or from above, and whose it is in words for people."""
    limits = [(max_, f"cgroup {above.name}") for above in memcg.ancestors() if (max_ := above.memory_max()) is not None]
    hidden = memcg.hidden_memory_max()
    if hidden is not None:
        limits.append((hidden, "a cgroup above those visible here"))
    return min(limits, key=lambda limit: limit[0], default=(None, ""))


def _set_v2(memcg: MemcgDir, *, swap_max: int | None, left: tuple[MemcgDir, ...]) -> list[str]:
    highs = [high for above in left if (high := above.memory_high()) is not None]
    if highs:
        cgroup_files.write_setting(memcg.path, "memory.high", min(highs))
    if memcg.read("memory.oom.group") is not None:  # since Linux 4.19
        # 1 would end the whole job where one worker is enough.
        cgroup_files.write_setting(memcg.path, "memory.oom.group", 0)
    if not memcg.has_swap_accounting():
        return [] if swap_max is None else [_V2_NO_SWAP_LIMIT]
    swaps = [swap for swap in (swap_max, *(above.swap_max() for above in left)) if swap is not None]
    if swaps:
        cgroup_files.write_setting(memcg.path, "memory.swap.max", min(swaps))
    return []


def _set_v1(memcg: MemcgDir, memory_max: int, *, swap_max: int | None) -> list[str]:
    if "oom_kill_disable 1" in (memcg.read("memory.oom_control") or ""):
        # Inherited, and it would hang the job at its limit.
        cgroup_files.write_setting(memcg.path, "memory.oom_control", 0)
    if swap_max is None:
        return []
    if memcg.has_swap_accounting():
        # Memory and swap together; the kernel wants it set after the limit of memory alone, never below it.
        cgroup_files.write_setting(memcg.path, "memory.memsw.limit_in_bytes", memory_max + swap_max)
        return []
    # The next best: no swapping at the cgroup's own limit, but still when the machine is short.
    cgroup_files.write_setting(memcg.path, "memory.swappiness", 0)
    return [_V1_NO_SWAP_LIMIT]


def limits_above(memcg: MemcgDir, root: Path = Path("/")) -> list[LimitAbove]:
    """The limits that hold for `memcg` from above, and those that are hidden from us."""
    above = memcg.ancestors()[1:]
    return _limits_of(above, root) if above else []


def machine_limit(root: Path = Path("/")) -> list[LimitAbove]:
    """The machine's memory, as a limit."""
    total = parse_meminfo(read_kernel_text(root / "proc/meminfo") or "").total
    return [] if total is None else [LimitAbove(whose="this machine's memory", limit=total, beside=SUPERVISOR_MEMORY)]


def limits_around(root: Path = Path("/")) -> list[LimitAbove]:
    """The limits that hold for the calling process, and for what it starts without a cgroup of its own."""
    own = find_own_memcg(root)
    return [] if own is None else _limits_of(own.ancestors(), root)


def _limits_of(memcgs: list[MemcgDir], root: Path) -> list[LimitAbove]:
    own = find_own_cgroup(root)
    above: list[LimitAbove] = []
    for memcg in memcgs:
        beside = SUPERVISOR_MEMORY if own is not None and memcg.path in (own.path, *own.path.parents) else 0
        for limit, kind in ((memcg.memory_max(), "limit"), (memcg.memory_high(), "soft limit (memory.high)")):
            if limit is not None:
                above.append(LimitAbove(whose=f"the memory {kind} of cgroup {memcg.name}", limit=limit, beside=beside))
    hidden = memcgs[0].hidden_memory_max()
    if hidden is not None and all(hidden < limit.limit for limit in above):
        whose = "a memory limit above the visible cgroups"
        above.append(LimitAbove(whose=whose, limit=hidden, beside=SUPERVISOR_MEMORY))
    return above
